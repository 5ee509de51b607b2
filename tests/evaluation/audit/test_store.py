"""`verify` finds what is left of a forgotten task, wherever it lies."""

import shutil

import numpy as np
import pytest
from storing import ask, learner, new_store, noise

from uncle_jax.engine.learner import template
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.accuracy import chance
from uncle_jax.evaluation.audit import store as checks
from uncle_jax.evaluation.audit.store import verify
from uncle_jax.store import checkpoint
from uncle_jax.store.copies import digest_of
from uncle_jax.store.recovery import open_store
from uncle_jax.tasks import Data


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """(a store that unlearned 0 and holds 1, a copy of it from before)."""
    folder = tmp_path_factory.mktemp("verify")
    with new_store(folder / "now") as store:
        ask(store, "L0")
        ask(store, "L1")
        shutil.copytree(folder / "now", folder / "before")
        ask(store, "U0")
    return folder / "now", folder / "before"


@pytest.fixture
def folder(stores, tmp_path):
    return shutil.copytree(stores[0], tmp_path / "store")


def report(folder, tasks=(0,)):
    tests = {task: noise(task, "test", 300) for task in tasks}
    with open_store(folder, write=False) as store:
        return verify(store, learner(), template(learner()), tests)


def test_a_sound_store_is_measured_and_nothing_is_wrong(folder):
    found = report(folder)
    assert found.problems == ()
    assert {m.path for m in found.measured} == {"checkpoints/3", "mirror/3"}
    assert all(m.forgotten and m.task == 0 for m in found.measured)
    assert found.entries == 7
    assert report(folder, tasks=()).unmeasured == (0,)


def test_another_tasks_test_images_are_refused_and_unknown_ones_are_told(folder, monkeypatch):
    known = {0: {digest_of(noise(0, "test", 300))}, 1: {digest_of(noise(1, "test", 300))}}
    monkeypatch.setattr(checks, "known_tests", lambda store: known)
    assert report(folder).unvouched == {}
    swapped = {0: noise(1, "test", 300)}
    with open_store(folder, write=False) as store:
        with pytest.raises(UncleError, match="not the test images of task 0: task 1 was"):
            verify(store, learner(), template(learner()), swapped)
        fewer = verify(store, learner(), template(learner()), {0: noise(0, "test", 30)})
        assert "measured with others" in fewer.unvouched[0]
        del known[0]
        again = verify(store, learner(), template(learner()), {0: noise(0, "test", 30)})
        assert "none are in the ledger" in again.unvouched[0]


@pytest.mark.parametrize(
    ("place", "manifest"),
    [("checkpoints/2", False), ("somewhere/old", False), ("somewhere/2", True)],
)
def test_a_checkpoint_from_before_is_found(folder, stores, place, manifest):
    (folder / place).parent.mkdir(exist_ok=True)
    shutil.copytree(stores[1] / "checkpoints/2", folder / place)
    if manifest:
        shutil.copy(stores[1] / "checkpoints/2.json", folder / f"{place}.json")
    found = report(folder)
    assert any(p.startswith(f"{place} predicts forgotten task 0") for p in found.problems)
    assert any("does not belong to the store" in p for p in found.problems)


def test_an_in_request_save_from_before_is_found(folder, tmp_path):
    class Stop(Exception):
        pass

    def late(step, steps, loss):
        if step == steps:
            raise Stop

    with new_store(tmp_path / "other") as store, pytest.raises(Stop):
        ask(store, "L0", on_step=late)
    shutil.copytree(tmp_path / "other/inflight/3", folder / "inflight/3")
    shutil.copy(tmp_path / "other/inflight/3.json", folder / "inflight/3.json")
    assert any("inflight/3 predicts forgotten task 0" in p for p in report(folder).problems)


def test_data_left_behind_is_found(folder):
    np.savez(folder / "data/0.npz", x=noise(0, "test", 9).images)
    assert report(folder).problems == ("data/0.npz does not belong to the store",)


def test_damage_is_found(folder):
    (folder / "certificates/3.txt").write_text("all is well")
    whole = max((folder / "mirror/3").rglob("*"), key=lambda path: path.stat().st_size)
    whole.write_bytes(whole.read_bytes()[:-1])
    problems = report(folder).problems
    assert "mirror/3 is damaged" in problems
    assert "certificates/3.txt is not what the ledger says" in problems


def test_chance_is_the_best_constant_answer_and_three_sigma():
    labels = np.repeat([0, 1], [75, 25])
    assert chance(Data(None, labels)) == pytest.approx(75 + 300 * np.sqrt(0.75 * 0.25 / 100))
    assert chance(Data(None, np.zeros(5, int))) == 100


def test_measuring_leaves_the_store_alone(folder):
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    report(folder)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before
    assert checkpoint.committed(folder / "checkpoints") == [3]
