"""What benchmarks/gpu.py runs in processes of their own: one device's answers, and its times.

    python benchmarks/gpu_slices.py answers thin
    python benchmarks/gpu_slices.py times resnet50 bfloat16 --batch 512

Each prints JSON, with the environment that it was found in.
"""

import argparse
import dataclasses
import json
import statistics
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.exported import loops
from benchmarks.steps import Ours, timed
from uncle_jax.core import objectives, precision
from uncle_jax.core.hypernet import Phi
from uncle_jax.core.pieces import rehearsal
from uncle_jax.engine.estimate import device_memory, peak_memory
from uncle_jax.methods.uncle import uncle
from uncle_jax.runs.environment import environment
from uncle_jax.tasks import Data

MOVES = (1e-4, 1e-3, 1e-2)  # of phi, in shares of its spread
EVERY = 97  # of a gradient's values, so many are compared


def answers(network: str) -> dict[str, Any]:
    """Losses and predictions of a small learner, both ways; the drift's gradient, all three."""
    small = Ours(network, 2, epochs=1, batch_size=32)
    settings = dataclasses.replace(small.uncle, burn_in=10, burn_in_floor=10)
    images = small.images[:320]
    data = Data(images, np.arange(320, dtype=np.int32) % 10)
    method = uncle(small.spec, 2, small.config, settings=settings)
    told: dict[str, Any] = {}
    for how, scan in (("by_one", False), ("scanned", True)):
        with loops(scan):
            told[how] = _requests(method, data)
    told["with_policy"] = [_gradient(small, move) for move in MOVES]
    full, precision.FULL = precision.FULL, jax.lax.Precision.DEFAULT
    told["without_policy"] = [_gradient(small, move) for move in MOVES]
    precision.FULL = full
    if jax.default_backend() == "cpu":
        with jax.enable_x64(True):
            told["float64"] = [_gradient(small, move, np.float64) for move in MOVES]
    return told


def _requests(method: Any, data: Data) -> dict[str, list[Any]]:
    """What `L0 L1 U1` answers: losses of learning, of unlearning, predictions of task 0."""
    losses: dict[str, list[float]] = {"learn": [], "unlearn": []}

    def note(of: str, step: int, steps: int, loss: Any) -> None:
        del step, steps
        losses[of].append(float(loss))

    state = method.init(jax.random.key(0))
    for task in (0, 1):
        state = method.learn(state, task, data, on_step=partial(note, "learn"))
    state = method.unlearn(state, 1, on_step=partial(note, "unlearn"))
    logits = np.asarray(method.logits(state, 0, data.images[:64]))
    return {**losses, "logits": logits.ravel().tolist()}


def _gradient(ours: Ours, move: float, dtype: Any = np.float32) -> list[float]:
    """Some of the heads' gradient of L_reg, where phi has moved from phi* by a share of itself."""
    layout, rng = ours.net.layout, np.random.RandomState(0)
    star = jax.tree.map(np.asarray, ours.state.phi)
    phi = jax.tree.map(lambda a: a + move * a.std() * rng.normal(size=a.shape), star)
    emb, chunk_emb = np.asarray(ours.state.task_emb)[:2], np.asarray(ours.state.chunk_emb)

    def value(phi: Phi, star: Phi, task_emb: Any, chunk_emb: Any) -> Any:
        weight = jnp.full(2, 0.5, dtype)
        anchor = objectives.drift_anchor(star, task_emb, chunk_emb, weight, layout, "exact")
        return objectives.drift(phi, anchor, task_emb, chunk_emb, layout)

    given = jax.tree.map(lambda a: jnp.asarray(a, dtype), (phi, star, emb, chunk_emb))
    gradient = jax.jit(jax.grad(value))(*given)
    return np.asarray(gradient.heads["weight"], np.float64).ravel()[::EVERY].tolist()


def times(
    network: str, computes_in: str, batch: int, tasks: list[int], rounds: int, burn_in: int
) -> dict[str, Any]:
    """Seconds of steps, called one by one, and of whole requests; their GFLOP; peak memory."""
    rows = [_times(network, computes_in, batch, t, rounds, burn_in) for t in tasks]
    told = {"network": network, "precision": computes_in, "batch": batch, "rows": rows}
    return told | {"device_memory_bytes": device_memory()}


def _times(
    network: str, computes_in: str, batch: int, tasks: int, rounds: int, burn_in: int
) -> dict[str, Any]:
    ours = Ours(network, tasks, precision=computes_in, batch_size=batch, epochs=1)
    row: dict[str, Any] = {"T": tasks}
    for what in ("plain", "learn", "unlearn"):
        with rehearsal() as work:
            getattr(ours, what)()()
        step = getattr(ours, what)()
        row[f"{what}_step"] = _seconds(step, rounds)
        row[f"{what}_step_gflop"] = work.flops / 1e9
    images = np.resize(ours.images, (rounds * batch, *ours.net.shape))
    data = Data(images, np.arange(len(images), dtype=np.int32) % 10)
    learn = partial(ours.learner.method.learn, ours.state, tasks, data)
    row["learn_request_per_step"] = _seconds(learn, 1) / rounds
    settings = dataclasses.replace(ours.uncle, burn_in=burn_in, burn_in_floor=burn_in)
    method = uncle(ours.spec, tasks + 1, ours.config, settings=settings)
    row["unlearn_request"] = _seconds(partial(method.unlearn, ours.state, 0), 1)
    row["burn_in"] = burn_in
    row["evaluate_512"] = _seconds(ours.evaluate, rounds)
    return row | {"peak_gb": peak_memory() / 1e9}


def _seconds(call: Callable[[], Any], rounds: int) -> float:
    """Median over `rounds` calls, after one that compiles."""
    jax.block_until_ready(call())
    return statistics.median(timed(call)[0] for _ in range(rounds))


def main() -> int:
    """Find out and print."""
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = p.add_subparsers(dest="kind", required=True)
    kinds.add_parser("answers").add_argument("network")
    timing = kinds.add_parser("times")
    timing.add_argument("network")
    timing.add_argument("precision")
    timing.add_argument("--batch", type=int, default=512)
    timing.add_argument("--tasks", type=int, nargs="+", default=[1, 10, 50])
    timing.add_argument("--rounds", type=int, default=20)
    timing.add_argument("--burn-in", type=int, default=100)
    args = p.parse_args()
    if args.kind == "answers":
        found = answers(args.network)
    else:
        found = times(
            args.network, args.precision, args.batch, args.tasks, args.rounds, args.burn_in
        )
    print(json.dumps(found | environment()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
