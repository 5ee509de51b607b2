"""Many runs on Ray: as on processes, and begun again where a worker dies."""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

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


def test_no_cluster_at_an_address_is_a_line(monkeypatch):
    def init(**asked):
        raise ConnectionError(f"nothing at {asked['address']}\nand more")

    nowhere = SimpleNamespace(is_initialized=lambda: False, init=init)
    monkeypatch.setattr(on_ray, "library", lambda: nowhere)
    with pytest.raises(UncleError, match=r"no Ray cluster at head:1 \(nothing at head:1\)$"):
        on_ray.tasks([], 1, pooling.work, address="head:1")


@pytest.mark.soak
@pytest.mark.filterwarnings("ignore")  # Ray forks, of which JAX warns: what it forks runs no JAX
def test_a_grid_survives_a_killed_worker_and_a_node_that_is_restarted(tmp_path):
    """Twelve runs on two nodes, each result equal to that of the pool of processes."""
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster  # pyright: ignore[reportMissingImports]

    cells = {name: pool.cells(pooling.specs(), tmp_path / name) for name in ("ray", "pool")}
    path = {"PYTHONPATH": str(Path(pooling.__file__).parent)}
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    nodes = [cluster.add_node(num_cpus=1, env_vars=path) for _ in range(2)]
    done: list[str] = []

    def accidents() -> None:
        victim = None
        while victim is None:  # a run that is under way
            time.sleep(0.2)
            victim = next(iter(tmp_path.glob("ray/**/pid")), None)
        os.kill(int(victim.read_text()), signal.SIGKILL)
        done.append("worker")
        time.sleep(10)
        cluster.remove_node(nodes[0], allow_graceful=False)
        done.append("node")
        time.sleep(5)
        cluster.add_node(num_cpus=1, env_vars=path)

    thread = threading.Thread(target=accidents)
    thread.start()
    try:
        ended = on_ray.tasks(
            cells["ray"], 12, pooling.slow, address=cluster.address, needs=on_ray.Needs(1)
        )
    finally:
        thread.join()
        cluster.shutdown()
    assert done == ["worker", "node"]
    assert [one.failed for one in ended] == [None] * 12
    assert [one.failed for one in pool.processes(cells["pool"], 2, pooling.slow)] == [None] * 12
    for on_both in zip(cells["ray"], cells["pool"], strict=True):
        (a, b) = (c.workdir / f"seed{c.spec.seeds[0]}" / "metrics.csv" for c in on_both)
        assert a.read_text() == b.read_text()
