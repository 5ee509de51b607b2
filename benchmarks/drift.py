"""Seconds of one unlearning step at ResNet-18 size against the number of retained tasks T.

    python benchmarks/drift.py [--tasks 1 20 50] [--json FILE]

Forms: `exact` (cost hardly grows with T), `direct` (every retained output, targets cached), `auto`
(what UnCLe chooses by itself), and, where "uncle-jax[bench]" is installed, hypnettorch's
regulariser in PyTorch on the same sizes: `hypnettorch` with ResNet-18's 62 arrays, as its users
have it, and `hypnettorch-flat` with one flat array, which spares it the slicing. A step is loss,
gradient, clipping and Adam. Compilation is excluded; medians; one process on one machine.
"""

import argparse
import dataclasses
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from uncle_jax.runs.environment import environment

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import hypnettorch_reference
from uncle_jax.config import Config, Hypernetwork, Uncle
from uncle_jax.core import backbones, steps
from uncle_jax.core import layout as layouts
from uncle_jax.core.holding import hold
from uncle_jax.core.inputs import input_shape
from uncle_jax.core.network import Network, network
from uncle_jax.core.status import LEARNED
from uncle_jax.methods.hypernetwork.learner import hnet
from uncle_jax.tasks import InputSpec

SPEC = InputSpec((64, 64, 3), 10, (0.5,) * 3, (0.5,) * 3)
CONFIG = Config(backbone="resnet18")
SETTINGS = Hypernetwork()
FORMS = ("exact", "direct", "auto", "hypnettorch", "hypnettorch-flat")


def network_of(form: str) -> Network:
    """The paper's ResNet-18 under a 200-chunk hypernetwork, with one form of the drift."""
    settings = dataclasses.replace(SETTINGS, drift=form)  # pyright: ignore[reportArgumentType]
    module = backbones.from_config(CONFIG, SPEC.n_classes)
    return network(module, input_shape(SPEC, CONFIG.image_size), CONFIG, settings)


def seconds_per_step(form: str, tasks: int, repeats: int) -> list[float]:
    """Seconds of `repeats` unlearning steps of task T while tasks 0..T-1 are retained."""
    net = network_of(form)
    state = hnet(SPEC, tasks + 1, CONFIG).init(jax.random.key(0))
    state = dataclasses.replace(state, status=state.status.at[:tasks].set(LEARNED))
    carry, forgotten = steps.start_unlearning(net, Uncle(), state, tasks, jax.random.key(1))
    held = hold(net, state)
    seconds, losses = [], None
    for index in range(repeats + 2):  # the first compiles, the second warms up
        key = jax.random.key(index)
        jax.block_until_ready((carry, held))
        start = time.perf_counter()
        carry, losses = steps.unlearn(net, Uncle(), carry, forgotten, held, key, np.float32(1e-3))
        jax.block_until_ready((carry, losses))
        seconds.append(time.perf_counter() - start)
    assert losses is not None
    assert bool(jnp.isfinite(losses.total))
    return seconds[2:]


def reference_seconds(form: str, tasks: int, repeats: int) -> list[float]:
    """The same step by hypnettorch."""
    layout: layouts.Layout = network_of("auto").layout
    shapes: list[tuple[int, ...]] = [leaf.shape for leaf in layout.leaves]
    if form == "hypnettorch-flat":
        shapes = [(layout.size,)]
    return hypnettorch_reference.seconds_per_step(
        shapes,
        tasks,
        chunks=SETTINGS.chunks,
        trunk=SETTINGS.trunk,
        embedding=SETTINGS.embedding,
        repeats=repeats,
    )


def table(rows: list[dict[str, Any]], tasks: list[int]) -> str:
    """Rows as a table, with each form's ratio to the exact form at T = 1."""
    seconds = {(row["form"], row["T"]): row["seconds"] for row in rows}
    unit = seconds.get(("exact", tasks[0]))
    lines = ["T      " + "".join(f"{form:>24}" for form in FORMS)]
    for t in tasks:
        cells = []
        for form in FORMS:
            value = seconds.get((form, t))
            ratio = f" ({value / unit:6.2f}x)" if value and unit else ""
            cells.append(f"{value:.3f} s{ratio}" if value else "-")
        lines.append(f"{t:<7}" + "".join(f"{cell:>24}" for cell in cells))
    lines.append(f"in brackets: times the exact form at T = {tasks[0]}")
    for t in tasks:
        for form in ("hypnettorch", "hypnettorch-flat"):
            if (form, t) in seconds and ("auto", t) in seconds:
                faster = seconds[form, t] / seconds["auto", t]
                lines.append(f"T = {t}: auto is {faster:.1f} times as fast as {form}")
    return "\n".join(lines)


def main() -> int:
    """Measure, print the table, write the JSON."""
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("--tasks", type=int, nargs="+", default=[1, 5, 10, 20, 50])
    p.add_argument("--forms", nargs="+", default=list(FORMS), choices=FORMS)
    p.add_argument("--repeats", type=int, default=5)
    p.add_argument("--reference-repeats", type=int, default=2, help="hypnettorch takes minutes")
    p.add_argument("--json", type=Path)
    args = p.parse_args()
    references = [form for form in args.forms if form.startswith("hypnettorch")]
    if references:
        try:
            hypnettorch_reference.versions()
        except ImportError as error:
            print(f"without hypnettorch: {error}", file=sys.stderr)
            references = []
    rows = []
    for tasks in args.tasks:
        for form in args.forms:
            if form in references:
                times = reference_seconds(form, tasks, args.reference_repeats)
            elif form.startswith("hypnettorch"):
                continue
            else:
                times = seconds_per_step(form, tasks, args.repeats)
            row = {"form": form, "T": tasks, "seconds": statistics.median(times), "all": times}
            rows.append(row)
            print(f"T = {tasks:<3} {form:<17} {row['seconds']:8.3f} s", file=sys.stderr)
    print(table(rows, args.tasks))
    if args.json:
        found = environment()
        found |= hypnettorch_reference.versions() if references else {}
        text = json.dumps({"rows": rows, "environment": found}, indent=1)
        args.json.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
