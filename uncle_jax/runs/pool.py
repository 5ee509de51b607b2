"""Many runs at once: each in a process of its own, on cores of its own.

A cell is one seed of a run and its work directory. What is finished is passed over, what was begun
goes on, and one that fails ends nothing but itself. `processes` is one engine; what takes the same
arguments can stand in its place.
"""

import itertools
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from uncle_jax.errors import UncleError, out_of_memory
from uncle_jax.requests import in_short
from uncle_jax.runs.environment import cores
from uncle_jax.runs.spec import RunSpec

if TYPE_CHECKING:
    from uncle_jax.runs.execute import Keeping


class Cell(NamedTuple):
    """One seed of a run."""

    spec: RunSpec  # its `seeds` has one
    workdir: Path

    def __str__(self) -> str:
        place = f"seq {self.spec.seq}" if self.spec.seq else in_short(self.spec.requests)
        told = f"{self.spec.dataset}, {place}".rstrip(", ")
        return f"{told}, {self.spec.label}, seed {self.spec.seeds[0]}"


class Ended(NamedTuple):
    """How a cell ended."""

    cell: Cell
    failed: str | None  # why, in a line; None: it is finished
    seconds: float


class Watch(NamedTuple):
    """Who is told what happens."""

    on_request: Callable[[Cell, int, int], None] = lambda cell, answered, of: None
    on_end: Callable[[Ended], None] = lambda ended: None


SILENT = Watch()
Work = Callable[[Cell, Callable[[int, int], None]], None]
"""Does a cell, and tells how many requests of how many are answered. Raises UncleError."""


def cells(specs: Iterable[RunSpec], runs: Path = Path("runs")) -> list[Cell]:
    """A cell for each seed of `specs`, in folders of their usual names below `runs`.

    First seeds come first, so that what runs at once compiles other programs, and what comes later
    finds them compiled. Raises UncleError where two are the same.
    """
    specs = [*specs]
    found = [
        Cell(replace(spec, seeds=(spec.seeds[turn],)), runs / spec.name)
        for turn in range(max((len(spec.seeds) for spec in specs), default=0))
        for spec in specs
        if turn < len(spec.seeds)
    ]
    places: dict[tuple[Path, int], Cell] = {}
    for cell in found:
        place = cell.workdir, cell.spec.seeds[0]
        if place in places:
            raise UncleError(f"two runs are the same, or share {cell.workdir}: {cell}")
        places[place] = cell
    return found


def work_of(keep: "Keeping", compile_cache: str | None) -> Work:
    """What a process does with its cell: `execute`."""
    return partial(_execute, keep, compile_cache)


def _execute(
    keep: "Keeping",
    compile_cache: str | None,
    cell: Cell,
    on_request: Callable[[int, int], None],
) -> None:
    from uncle_jax.runs import execute as runs
    from uncle_jax.runs.process import begin

    begin(compile_cache)
    asked = runs.load(cell.spec)
    answered = itertools.count(1)

    def told(answer: Any) -> None:
        del answer
        on_request(next(answered), len(asked.spec.requests))

    runs.execute(asked, cell.workdir, runs.Watch(on_request=told), keep)


def processes(
    todo: Sequence[Cell],
    jobs: int,
    work: Work,
    watch: Watch = SILENT,
    seconds: float | None = None,
) -> list[Ended]:
    """Do every cell, `jobs` at a time; how each ended, in the order of their ends.

    Each process has its share of the cores, so that none waits for another's threads. After
    `seconds` those that run are stopped where they are, and no other is begun: they are not among
    what is returned.
    """
    shares = _shares(cores(), jobs)
    waiting, free = list(todo), [*range(jobs)]
    running: dict[Connection, _Running] = {}
    ended: list[Ended] = []
    until = None if seconds is None else time.monotonic() + seconds
    try:
        while waiting or running:
            while waiting and free:
                cell, share = waiting.pop(0), free.pop(0)
                one = _begin(cell, work, shares[share], share, jobs)
                running[one.ours] = one
            left = None if until is None else max(0.0, until - time.monotonic())
            for ours in wait([*running], left):
                assert isinstance(ours, Connection)
                one = running[ours]
                if (told := _received(ours)) is None:
                    del running[ours]
                    ended.append(one.end())
                    free.append(one.share)
                    watch.on_end(ended[-1])
                elif told[0] == "answered":
                    watch.on_request(one.cell, *told[1:])
                else:
                    one.told.append(told)
            if until is not None and time.monotonic() >= until:
                break
    finally:
        for one in running.values():
            one.process.terminate()
            one.process.join()
    return ended


class _Running:
    """A process at work."""

    def __init__(self, cell: Cell, process: Any, ours: Connection, share: int) -> None:
        self.cell, self.process, self.ours, self.share = cell, process, ours, share
        self.begun, self.told = time.monotonic(), []

    def end(self) -> Ended:
        self.process.join()
        self.ours.close()
        code, failed = self.process.exitcode, None
        if not self.told:  # it ended without a word
            failed = f"its process ended with exit code {code}"
            failed += " (killed: out of memory?)" if code == -9 else ""
        elif self.told[-1][0] == "failed":
            failed = self.told[-1][1]
        return Ended(self.cell, failed, time.monotonic() - self.begun)


def _begin(cell: Cell, work: Work, share: list[int], number: int, jobs: int) -> _Running:
    context = multiprocessing.get_context("spawn")  # JAX's threads do not survive a fork
    ours, theirs = context.Pipe()
    given = without_bar(cell), work, theirs, share, jobs
    process = context.Process(target=_process, args=given, daemon=True)
    process.start()
    theirs.close()
    return _Running(cell, process, ours, number)


def without_bar(cell: Cell) -> Cell:
    """`cell` without this process's bar of downloads."""
    if (data := cell.spec.data) is None:
        return cell
    data = replace(data, options=replace(data.options, progress=None))
    return cell._replace(spec=replace(cell.spec, data=data))


def _process(cell: Cell, work: Work, theirs: Connection, share: list[int], jobs: int) -> None:
    """A cell's process."""
    threading.Thread(target=_end_with_parent, args=(theirs,), daemon=True).start()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, share)
    os.environ.setdefault("XLA_PYTHON_CLIENT_MEM_FRACTION", f"{0.9 / jobs:.2f}")  # of a GPU

    def on_request(answered: int, of: int) -> None:
        theirs.send(("answered", answered, of))

    failed = done(work, cell, on_request)
    theirs.send(("done",) if failed is None else ("failed", failed))


def done(work: Work, cell: Cell, on_request: Callable[[int, int], None]) -> str | None:
    """Do a cell, in whatever process it is: why it failed, in a line, or None."""
    try:
        work(cell, on_request)
    except UncleError as error:
        return str(error)
    except Exception as error:  # whatever it is, it is this cell's alone
        return (out_of_memory(error) or f"{type(error).__name__}: {error}").splitlines()[0]
    return None


def _end_with_parent(theirs: Connection) -> None:
    """Wait for the parent's end, and go with it: the store survives that at any moment."""
    try:
        theirs.recv()
    except (EOFError, OSError):
        os._exit(130)


def _received(ours: Connection) -> tuple[Any, ...] | None:
    """What a process has told; None if it has ended."""
    try:
        return ours.recv()
    except (EOFError, OSError):
        return None


def _shares(cores: list[int], jobs: int) -> list[list[int]]:
    """Cores for each of `jobs`: as many to each as can be, one to several where there are fewer."""
    if jobs >= len(cores):
        return [[cores[job % len(cores)]] for job in range(jobs)]
    return [cores[job::jobs] for job in range(jobs)]
