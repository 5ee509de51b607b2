"""Many runs at once: each by itself, whatever happens to the others."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pooling
import pytest

from uncle_jax.errors import UncleError
from uncle_jax.requests import parse
from uncle_jax.runs import pool
from uncle_jax.runs.environment import cores
from uncle_jax.runs.execute import Keeping, execute
from uncle_jax.runs.pool import Cell, processes
from uncle_jax.runs.spec import RunSpec

OWN = Path(__file__).resolve().parents[2] / "experiments" / "own_method.py"
SPEC = RunSpec("permuted-digits", method=f"{OWN}:nearest_mean", requests=parse("L0 L1 U0"))


def test_a_cell_that_fails_in_any_way_ends_nothing_but_itself(tmp_path):
    told, ends = [], []
    watch = pool.Watch(lambda cell, *n: told.append((cell.spec.seeds[0], *n)), ends.append)
    todo = [pooling.cell(seed, tmp_path) for seed in (4, 0, 2, 3, 1)]
    ended = processes(todo, 2, pooling.work, watch)
    assert ended == ends
    assert {one.cell.spec.seeds[0]: one.failed for one in ended} == {
        0: None,
        1: None,
        2: "in a line",
        3: "ValueError: in",
        4: "its process ended with exit code -9 (killed: out of memory?)",
    }
    assert set(told) == {(s, 1, 2) for s in range(5)} | {(0, 2, 2), (1, 2, 2)}
    where = [(tmp_path / str(seed)).read_text().partition(" ")[2] for seed in range(5)]
    shares = pool._shares(cores(), 2)
    assert {*where} <= {str(sorted(share)) for share in shares}


def test_each_has_its_share_of_the_cores():
    assert pool._shares([0, 1], 2) == [[0], [1]]
    assert pool._shares([4, 5, 6, 7, 9], 2) == [[4, 6, 9], [5, 7]]
    assert pool._shares([3, 8], 3) == [[3], [8], [3]]
    assert pool._shares([3, 8], 1) == [[3, 8]]


def test_when_time_is_up_what_runs_is_stopped_and_no_other_begun(tmp_path):
    begun = []
    todo = [pooling.cell(5, tmp_path), pooling.cell(0, tmp_path)]
    watch = pool.Watch(lambda cell, *n: begun.append(cell.spec.seeds[0]))
    assert processes(todo, 1, pooling.work, watch, seconds=0.0) == []
    assert not begun  # it was not even let begin
    assert not _alive(_pid(tmp_path / "5", wait=False))


def test_the_processes_end_with_their_parent(tmp_path):
    path = os.pathsep.join([*map(str, Path(pooling.__file__).parents[:2])])
    parent = subprocess.Popen(
        [sys.executable, pooling.__file__, str(tmp_path)], env={**os.environ, "PYTHONPATH": path}
    )
    child = _pid(tmp_path / "5")
    assert _alive(child)
    parent.kill()
    parent.wait()
    while _alive(child):  # a test that hangs here has failed
        time.sleep(0.01)


def _pid(path: Path, wait: bool = True) -> int:
    while wait and not (path.exists() and path.read_text()):
        time.sleep(0.01)
    return int(path.read_text().split()[0]) if path.exists() else 0


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_cells_are_seeds_in_the_usual_folders_and_none_is_there_twice(tmp_path):
    first, second = SPEC.changed("epochs=3"), RunSpec(seeds=(3, 4))
    found = pool.cells([second, first], tmp_path)
    assert [(cell.workdir.name, cell.spec.seeds) for cell in found] == [
        ("permuted-digits-seq1-uncle", (3,)),
        ("permuted-digits-own-nearest_mean-epochs=3", (0,)),
        ("permuted-digits-seq1-uncle", (4,)),
    ]
    assert str(found[1]) == "permuted-digits, L0 L1 U0, nearest_mean epochs=3, seed 0"
    assert str(found[2]) == "permuted-digits, seq 1, uncle, seed 4"
    with pytest.raises(UncleError, match="two runs are the same"):
        pool.cells([second, second], tmp_path)


def test_what_a_process_does_is_the_run_alone(tmp_path):
    """In this process; the command's test does it in others."""
    told = []
    cell = Cell(SPEC, tmp_path / "cell")
    pool.work_of(Keeping(), "none")(cell, lambda *n: told.append(n))
    assert told == [(1, 3), (2, 3), (3, 3)]
    execute(SPEC, tmp_path / "alone")
    first, second = (tmp_path / name / "seed0/metrics.csv" for name in ("cell", "alone"))
    assert first.read_bytes() == second.read_bytes()
