"""What processes of tests/runs/test_pool.py and of test_on_ray.py do; importable without jax."""

import os
import signal
import sys
import time
from pathlib import Path

from uncle_jax.errors import UncleError
from uncle_jax.requests import parse
from uncle_jax.runs import pool
from uncle_jax.runs.spec import RunSpec

OWN = Path(__file__).resolve().parents[1] / "experiments" / "own_method.py"
SHORT = RunSpec("permuted-digits", method=f"{OWN}:nearest_mean", requests=parse("L0 L1 U0"))


def cell(seed: int, workdir: Path) -> pool.Cell:
    return pool.Cell(RunSpec(seeds=(seed,)), workdir)


def work(cell, on_request) -> None:
    """By the seed: 0 and 1 end well, 2 and 3 fail, 4 is killed, 5 takes an hour."""
    (seed,) = cell.spec.seeds
    (cell.workdir / str(seed)).write_text(f"{os.getpid()} {sorted(os.sched_getaffinity(0))}")
    on_request(1, 2)
    if seed == 2:
        raise UncleError("in a line")
    if seed == 3:
        raise ValueError("in\nseveral")
    if seed == 4:
        os.kill(os.getpid(), signal.SIGKILL)
    if seed == 5:
        time.sleep(3600)
    on_request(2, 2)


def killed_once(cell, on_request) -> None:
    """The run, whose process is killed after its first request, the first time."""
    from uncle_jax.runs.execute import Keeping

    mark = cell.workdir / "was killed"

    def after(answered: int, of: int) -> None:
        on_request(answered, of)
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    pool.work_of(Keeping(), "none")(cell, after)


def specs() -> list[RunSpec]:
    """Two methods on six seeds, each run of some seconds."""
    asked = parse("L0 L1 U0 L2")
    few = ("epochs=2", "width=4", "trunk=8,16", "chunks=5")
    uncle = RunSpec("permuted-digits", "uncle", requests=asked, seeds=tuple(range(6)))
    clpu = RunSpec("permuted-digits", "clpu", requests=asked, seeds=tuple(range(6)))
    return [uncle.changed(*few), clpu.changed(*few[:2])]


def slow(cell, on_request) -> None:
    """The run; its process says who it is, and takes a second more for each request."""
    from uncle_jax.runs.execute import Keeping

    cell.workdir.mkdir(parents=True, exist_ok=True)

    def after(answered: int, of: int) -> None:
        (cell.workdir / "pid").write_text(str(os.getpid()))
        on_request(answered, of)
        time.sleep(1)

    pool.work_of(Keeping(), "none")(cell, after)


if __name__ == "__main__":  # a parent that waits for an hour
    pool.processes([cell(5, Path(sys.argv[1]))], 1, work)
