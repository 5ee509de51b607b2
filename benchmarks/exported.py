"""Every program of a sequence exported for another platform: its size, and what it calls.

    python benchmarks/exported.py [--platform cuda] [--backbone resnet50] [--json FILE]

UnCLe at the paper's shapes (ten tasks, 64x64 images, batches of 512): learning without and with
retained tasks, unlearning with everything on, prediction; steps one by one and scanned, as they are
on an accelerator. Nothing is computed and no accelerator is needed: programs are traced and
lowered. A custom call would be what XLA does not compile itself; float64 would be a slip.
"""

import argparse
import dataclasses
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.export
import jax.numpy as jnp
import numpy as np

from uncle_jax.config import Config, Uncle
from uncle_jax.core import convolution, scanned
from uncle_jax.core.pieces import Rehearsal, rehearsal
from uncle_jax.core.state import CLState
from uncle_jax.core.status import LEARNED, NEW
from uncle_jax.methods.uncle import uncle
from uncle_jax.presets import preset
from uncle_jax.runs.environment import environment
from uncle_jax.tasks import Data, InputSpec

SPEC = InputSpec((64, 64, 3), 10, (0.5,) * 3, (0.25,) * 3)
N_TASKS = 10


class Exported(NamedTuple):
    """One program."""

    name: str
    inputs: int  # arrays
    kilobytes: float  # of the serialised module
    custom_calls: tuple[str, ...]
    float64: bool
    platforms: tuple[str, ...]


class Exporting(Rehearsal):
    """A rehearsal that exports each program it meets."""

    def __init__(self, platform: str) -> None:
        super().__init__()
        self.platform, self.programs, self._seen = platform, list[Exported](), set[Any]()

    def call(self, jitted: Any, args: Any, kwargs: Any) -> Any:
        leaves, tree = jax.tree.flatten((args, kwargs))
        shapes = [(getattr(a, "shape", a), str(getattr(a, "dtype", ""))) for a in leaves]
        if (key := (id(jitted), tree, *shapes)) not in self._seen:
            self._seen.add(key)
            self.programs.append(self._exported(jitted, args, kwargs))
        return super().call(jitted, args, kwargs)

    def _exported(self, jitted: Any, args: Any, kwargs: Any) -> Exported:
        found = jax.export.export(jitted, platforms=(self.platform,))(*args, **kwargs)
        text = found.mlir_module()
        calls = sorted(set(re.findall(r"custom_call @([\w.]+)", text)))
        size = len(found.mlir_module_serialized) / 1e3
        name = jitted.__name__.lstrip("_")
        return Exported(
            name, len(found.in_avals), size, tuple(calls), "f64" in text, found.platforms
        )


@contextmanager
def loops(scan: bool) -> Iterator[None]:
    """Steps scanned, as they are on an accelerator, or one by one."""
    was, scanned.in_one_program = scanned.in_one_program, lambda: scan
    try:
        yield
    finally:
        scanned.in_one_program = was


def learned(state: CLState, n: int) -> CLState:
    """`state` with its first `n` tasks learned: a rehearsal returns zeros."""
    status = np.full(N_TASKS, NEW, np.int32)
    status[:n] = LEARNED
    return dataclasses.replace(state, status=jnp.asarray(status))


def exported(config: Config, settings: Uncle, spec: InputSpec, platform: str) -> list[Exported]:
    """Every program of `L0 L1 U0` and of predictions, of which nothing is computed."""
    config = dataclasses.replace(config, epochs=1)
    shape = (2 * config.batch_size, *spec.image_shape)
    data = Data(np.zeros(shape, np.uint8), np.arange(shape[0], dtype=np.int32) % spec.n_classes)
    everywhere = dataclasses.replace(settings, fresh_noise=1.0, adversary_noise=1.0)
    method, other = (uncle(spec, N_TASKS, config, settings=s) for s in (settings, everywhere))
    work = Exporting(platform)
    with convolution.for_platform(platform), rehearsal(work):
        for scan in (False, True):
            with loops(scan):
                state = method.init(jax.random.key(0))
                for task in (0, 1):
                    state = learned(method.learn(state, task, data), task + 1)
                method.unlearn(state, 0)
                other.unlearn(state, 0)
                method.logits(state, 1, data.images[: config.eval_batch_size])
    return work.programs


def main() -> int:
    """Export, print the table, write the JSON."""
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--platform", default="cuda")
    p.add_argument("--backbone", default="resnet50", choices=("thin", "resnet18", "resnet50"))
    p.add_argument("--json", type=Path)
    args = p.parse_args()
    chosen = preset("tinyimagenet", "paper")
    config = dataclasses.replace(chosen.config, backbone=args.backbone)
    programs = exported(config, chosen.uncle, SPEC, args.platform)
    print(f"{'program':<24}{'inputs':>8}{'kB':>10}  custom calls")
    for one in programs:
        print(f"{one.name:<24}{one.inputs:>8}{one.kilobytes:>10.0f}  {one.custom_calls or '-'}")
    print(f"{len(programs)} programs for {args.platform}")
    if args.json:
        rows = [one._asdict() for one in programs]
        told = {"backbone": args.backbone, "programs": rows, **environment()}
        args.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
