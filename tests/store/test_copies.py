"""Test images kept in a store: as they were given, or not at all."""

from types import SimpleNamespace

import numpy as np
import pytest
from storing import identity, noise

from uncle_jax import files
from uncle_jax.errors import UncleError
from uncle_jax.store import copies
from uncle_jax.store import store as stores


@pytest.fixture
def store(tmp_path):
    """What of a store these functions use; tasks 0 and 1 are learned, 2 without test data."""
    (tmp_path / "data").mkdir()
    store = SimpleNamespace(folder=tmp_path, identity=identity(), notes=[], requests=[])
    store.tasks = {"learned": [0, 1, 2], "unlearned": []}
    for task in (0, 1):
        sha = copies.write_test(store, task, noise(task, "test", 8))
        store.requests.append({"op": "L", "task": task, "test": sha})
    store.requests.append({"op": "L", "task": 2})
    return store


def test_they_come_back_as_they_were(store):
    tests, damaged = copies.read_tests(store)
    assert (sorted(tests), damaged, store.notes) == ([0, 1], [], [])
    for task, data in tests.items():
        np.testing.assert_array_equal(data.images, noise(task, "test", 8).images)
        np.testing.assert_array_equal(data.labels, noise(task, "test", 8).labels)


def test_those_of_a_task_that_is_no_longer_learned_are_not_read(store):
    store.tasks["learned"] = [1]
    assert list(copies.read_tests(store)[0]) == [1]


def test_of_a_task_learned_twice_the_last_ones_count(store):
    sha = copies.write_test(store, 0, noise(3, "test", 5))
    gone = {"op": "U", "task": 0, "tasks": {"learned": [1, 2]}}
    store.requests += [gone, {"op": "L", "task": 0, "test": sha}]
    assert len(copies.read_tests(store)[0][0].labels) == 5


@pytest.mark.parametrize("damage", ["changed", "gone", "another's"])
def test_a_damaged_copy_is_told_and_not_measured(store, damage):
    path = store.folder / "data" / "1.npz"
    if damage == "changed":
        path.write_bytes(path.read_bytes()[:-1] + b"x")
    elif damage == "gone":
        path.unlink()
    else:
        path.write_bytes((store.folder / "data" / "0.npz").read_bytes())
    tests, damaged = copies.read_tests(store)
    assert (list(tests), damaged) == ([0], [1])
    assert store.notes == ["the test data of task 1 is damaged; it is not measured"]


def test_a_full_disk_is_told_in_a_line(store, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "write", full)
    with pytest.raises(UncleError, match=r"cannot keep the test data \(No space left on device\)"):
        copies.write_test(store, 0, noise(0, "test", 8))


def test_test_images_are_known_by_their_arrays(store):
    """However they are given; of learning and of unlearning."""
    one = noise(1, "test", 8)
    assert copies.digest_of(one) == store.requests[1]["test"]
    assert copies.digest_of(one._replace(labels=one.labels[::-1])) != store.requests[1]["test"]
    store.requests.append({"op": "U", "task": 1, "measured_with": "ab"})
    known = copies.known_tests(store)
    assert known[1] == {store.requests[1]["test"], "ab"}
    assert known[2] == set()


def entry(step, op, task, learned, test=None):
    return {"step": step, "op": op, "task": task, "test": test, "tasks": {"learned": learned}}


def test_which_copies_are_held_and_which_there_ever_were():
    asked = [
        entry(1, "L", 0, [0], "a"),
        entry(2, "L", 1, [0, 1], "b"),
        entry(3, "C", 1, [0, 1], "c"),
        entry(4, "U", 0, [0, 1]),  # of a method that does not unlearn
    ]
    assert stores.kept_tests(asked) == {0: ("0.npz", "a"), 1: ("1-3.npz", "c")}
    gone = [*asked, entry(5, "C", 1, [0, 1]), entry(6, "U", 0, [1])]
    assert stores.kept_tests(gone) == {}
    assert [name for _, name, _ in stores.copies_of(gone)] == ["0.npz", "1.npz", "1-3.npz"]
