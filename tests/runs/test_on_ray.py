"""Many runs on Ray: as on processes, and begun again where a worker dies."""

import sys
from pathlib import Path

import pooling
import pytest

from uncle_jax.errors import UncleError
from uncle_jax.runs import on_ray, pool
from uncle_jax.runs.execute import execute


def test_without_ray_a_line_says_how_to_have_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UncleError, match=r"uncle-jax\[ray\]"):
        on_ray.tasks([], 1, pooling.work)


@pytest.fixture(scope="module")
def ray():
    library = pytest.importorskip("ray")
    found = {"PYTHONPATH": str(Path(pooling.__file__).parent)}
    library.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": found}
    )
    yield library
    library.shutdown()


def test_a_cell_that_fails_ends_nothing_but_itself(ray, tmp_path, monkeypatch):
    monkeypatch.setattr(on_ray, "RETRIES", 1)
    told, ends = [], []
    watch = pool.Watch(lambda cell, *n: told.append((cell.spec.seeds[0], *n)), ends.append)
    todo = [pooling.cell(seed, tmp_path) for seed in (4, 0, 2, 3, 1)]
    ended = on_ray.tasks(todo, 2, pooling.work, watch, needs=on_ray.Needs(1))
    assert ended == ends
    failed = {one.cell.spec.seeds[0]: one.failed for one in ended}
    assert failed.pop(4).startswith("its worker died, 2 times (")
    assert failed == {0: None, 1: None, 2: "in a line", 3: "ValueError: in"}
    assert {one[0] for one in told} == {0, 1, 2, 3, 4}


def test_when_time_is_up_what_runs_is_stopped(ray, tmp_path):
    todo = [pooling.cell(5, tmp_path)]
    assert on_ray.tasks(todo, 1, pooling.work, seconds=1.0, needs=on_ray.Needs(1)) == []


def test_a_worker_that_is_killed_goes_on_from_its_store(ray, tmp_path):
    cell = pool.Cell(pooling.SHORT, tmp_path / "killed")
    (ended,) = on_ray.tasks([cell], 1, pooling.killed_once, needs=on_ray.Needs(1))
    assert ended.failed is None
    assert (tmp_path / "killed" / "was killed").exists()
    execute(pooling.SHORT, tmp_path / "alone")
    of_both = [(tmp_path / n / "seed0" / "metrics.csv").read_text() for n in ("killed", "alone")]
    assert of_both[0] == of_both[1]


def test_no_cluster_at_an_address_is_a_line():
    pytest.importorskip("ray")
    with pytest.raises(UncleError, match=r"no Ray cluster at 127\.0\.0\.1:1"):
        on_ray.tasks([], 1, pooling.work, address="127.0.0.1:1")
