"""What each request of finished streams did to what was retained through it, and how long it took.

    python benchmarks/streams.py results/streams/digits200-*

Of each run's first seed: the mean change (points) of a retained task at a learning and at an
unlearning; how many unlearnings come before the first that moves one by BIG points; RA and the
worst retained task after every twentieth request; accuracy just after learning; median seconds of
a learning with as many tasks retained as most have, among the first and the last half. Where the
run's store is there: how many units of the trunk are 0 for every chunk of every retained task, and
how many of these tasks' rows are told apart (the features' rank).
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from uncle_jax.core.objectives import features_of_rows
from uncle_jax.data.load import Choice
from uncle_jax.evaluation.metrics import retain_accuracy, retain_worst
from uncle_jax.report.results import SeedRun, read_run
from uncle_jax.requests import Request, parse, retained
from uncle_jax.runs.subject import Subject
from uncle_jax.store import recovery

BIG = 1.5  # points


def told(folder: Path) -> list[str]:
    """Lines on the first seed of a run."""
    run = read_run(folder)[0][0]
    requests, accuracy = parse(run.told["requests"]), run.accuracy
    kept = [retained(requests[: i + 1]) for i in range(len(requests))]
    changes = {"L": list[float](), "U": list[float]()}
    before_big, unlearnings = None, 0
    for i, (op, task, _) in enumerate(requests):
        if i:
            moved = [accuracy[i][t] - accuracy[i - 1][t] for t in kept[i] if t != task]
            changes[op] += moved
            big = op == "U" and any(abs(change) >= BIG for change in moved)
            before_big = unlearnings if big and before_big is None else before_big
        unlearnings += op == "U"
    ends = [i + 1 for i in range(9, len(requests), 20) if kept[i]]
    mean = [f"{retain_accuracy(requests[:end], accuracy[:end]):.0f}" for end in ends]
    worst = [f"{retain_worst(requests[:end], accuracy[:end]):.0f}" for end in ends]
    new = [accuracy[i][t] for i, (op, t, _) in enumerate(requests) if op == "L"]
    halves = _seconds(requests, kept, run.times["learn_seconds"])
    return [
        f"{folder.name}: {len(requests)} requests, {np.mean([len(k) for k in kept]):.1f} retained",
        *(f"  {op}: {np.mean(moved):+.2f} a retained task" for op, moved in changes.items()),
        f"  unlearnings before one moves a retained task by {BIG}: {before_big}",
        f"  RA {' '.join(mean)}; worst {' '.join(worst)}",
        f"  just learned: {np.mean(new[:20]):.1f} at first, {np.mean(new[-20:]):.1f} at last",
        f"  seconds of a learning with {halves[0]} retained: {halves[1]:.2f}, then {halves[2]:.2f}",
        *_trunk(run),
    ]


def _trunk(run: SeedRun) -> list[str]:
    """A line on a hypernetwork's features at the end; none where there is no store of one."""
    if not recovery.exists(run.folder / "store"):
        return []
    subject = Subject(run, Choice())
    state, kept = subject["run"].state, np.array(subject.kept)
    if subject.method.generator is None:
        return []
    u_RxU = features_of_rows(state.phi, state.task_emb[kept], state.chunk_emb)
    dead = int(np.sum(~np.any(np.asarray(u_RxU) > 0, axis=0)))
    rank = int(np.linalg.matrix_rank(np.asarray(u_RxU), rtol=1e-5))
    told = f"{dead} of {u_RxU.shape[1] - 1} units dead, rank {rank} of {len(u_RxU)} rows"
    return [f"  trunk with {len(kept)} retained: {told}"]


def _seconds(
    requests: Sequence[Request], kept: list[list[int]], learn: Sequence[float]
) -> tuple[int, float, float]:
    of = [len(k) for k, (op, *_) in zip(kept, requests, strict=True) if op == "L"]
    usual = Counter(of).most_common(1)[0][0]
    mine = [s for n, s in zip(of, learn, strict=True) if n == usual]
    half = len(mine) // 2
    return usual, float(np.median(mine[:half])), float(np.median(mine[half:]))


def main() -> int:
    """Print it of each run."""
    p = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("runs", type=Path, nargs="+")
    for folder in p.parse_args().runs:
        print("\n".join(told(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
