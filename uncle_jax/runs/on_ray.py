"""Many runs at once on Ray: on this machine or on a cluster, each cell a task.

In the place of pool.processes, with the same arguments. Ray has the queue, the resources, retries
where a worker or a node dies, and progress across machines; what is here says what a task is. A
task that begins again goes on from its run's store, so its work directory has to be where every
node sees it. Needs the extra [ray]; nothing of Ray is imported until a function is called.
"""

import contextlib
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from uncle_jax.errors import UncleError
from uncle_jax.runs.environment import cores
from uncle_jax.runs.pool import SILENT, Cell, Ended, Watch, Work, done, without_bar

RETRIES = 5  # of a cell whose worker or node died; one that fails by itself is not tried again
POLL = 0.5  # seconds between two looks at what was told
MISSING = 'Ray is not installed: pip install "uncle-jax[ray]"'


class Needs(NamedTuple):
    """What a cell takes of a cluster."""

    cpus: float = 1.0
    gpus: float = 0.0


def library() -> Any:
    """Ray. Raises UncleError where it is not installed."""
    try:
        import ray  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise UncleError(MISSING) from None
    return ray


def tasks(
    todo: Sequence[Cell],
    jobs: int,
    work: Work,
    watch: Watch = SILENT,
    seconds: float | None = None,
    *,
    address: str | None = None,
    needs: Needs | None = None,
) -> list[Ended]:
    """Do every cell, `jobs` at a time at most; how each ended, in the order of their ends.

    `address`: of a running cluster ("auto": the one of this machine); None starts one here, of this
    process's cores. After `seconds` those that run are stopped, and no other is begun. Raises
    UncleError if there is no Ray, or nothing at `address`.
    """
    ray = library()
    needs = needs or Needs(max(1.0, len(cores()) // jobs))
    ours = not ray.is_initialized()
    if ours:
        _connect(ray, address)
    try:
        return _all(ray, todo, jobs, work, watch, seconds, needs)
    finally:
        if ours:
            ray.shutdown()


def _connect(ray: Any, address: str | None) -> None:
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address is None:
            ray.init(num_cpus=len(cores()), include_dashboard=False, **quiet)
        else:
            ray.init(address=address, **quiet)
    except (ConnectionError, ValueError, RuntimeError) as error:
        first = str(error).strip().splitlines()[0]
        raise UncleError(f"no Ray cluster at {address or 'this machine'} ({first})") from None


def _all(
    ray: Any,
    todo: Sequence[Cell],
    jobs: int,
    work: Work,
    watch: Watch,
    seconds: float | None,
    needs: Needs,
) -> list[Ended]:
    from ray.util.queue import Queue  # pyright: ignore[reportMissingImports]

    told = Queue(actor_options={"num_cpus": 0})  # (cell's number, requests answered, of how many)
    options = {"num_cpus": needs.cpus, "num_gpus": needs.gpus, "max_retries": RETRIES}
    # A process for each cell, with as many threads as it has cores (XLA reads NPROC).
    options |= {
        "max_calls": 1,
        "runtime_env": {"env_vars": {"NPROC": str(max(1, int(needs.cpus)))}},
    }
    task = ray.remote(**options)(_task)
    waiting = list(enumerate(todo))
    running: dict[Any, tuple[int, float]] = {}  # by Ray's reference: which cell, since when
    ended: list[Ended] = []
    until = None if seconds is None else time.monotonic() + seconds
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                number, cell = waiting.pop(0)
                reference = task.remote(number, _portable(cell), work, told)
                running[reference] = number, time.monotonic()
            over, _ = ray.wait([*running], timeout=POLL)
            for number, answered, of in _told(told):
                watch.on_request(todo[number], answered, of)
            for reference in over:
                number, begun = running.pop(reference)
                failed = _result(ray, reference)
                ended.append(Ended(todo[number], failed, time.monotonic() - begun))
                watch.on_end(ended[-1])
            if until is not None and time.monotonic() >= until:
                break
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
        told.shutdown(force=True)
    return ended


def _portable(cell: Cell) -> Cell:
    """A cell as another process, perhaps of another machine, has it."""
    return without_bar(cell)._replace(workdir=cell.workdir.resolve())


def _told(queue: Any) -> list[tuple[int, int, int]]:
    with contextlib.suppress(Exception):  # progress alone: its actor may have died with its node
        return queue.get_nowait_batch(queue.qsize())
    return []


def _result(ray: Any, reference: Any) -> str | None:
    """Why a task failed; None if it is done."""
    try:
        return ray.get(reference)
    except ray.exceptions.RayError as error:
        first = str(error).strip().splitlines()[0]
        return f"its worker died, {RETRIES + 1} times ({first})"


def _task(number: int, cell: Cell, work: Work, told: Any) -> str | None:
    """A cell, in a process of Ray's: why it failed, or None."""

    def on_request(answered: int, of: int) -> None:
        with contextlib.suppress(Exception):  # progress alone
            told.put_nowait((number, answered, of))

    return done(work, cell, on_request)
