import shutil

import numpy as np
import pytest
from conftest import SPEC
from storing import SETTINGS, ask, learner, load, new_store, noise

from uncle_jax.data.npz import read_images, read_npz
from uncle_jax.engine import request as service
from uncle_jax.engine.request import Order
from uncle_jax.errors import UncleError
from uncle_jax.store.recovery import open_store


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    folder = tmp_path_factory.mktemp("service") / "store"
    with new_store(folder) as store:
        ask(store, "L0", id="first")
        ask(store, "L1")
    return folder


@pytest.fixture
def store(answered, tmp_path):
    with open_store(shutil.copytree(answered, tmp_path / "store"), write=True) as store:
        yield store


def test_an_entry_tells_what_was_measured(store):
    entry = ask(store, "U1")
    assert sorted(entry["accuracy_before"]) == ["0", "1"]
    assert entry["accuracy"]["0"] > 50  # kept
    assert entry["accuracy_before"]["1"] > 50 > entry["accuracy"]["1"]
    assert entry["procedure"]["iterations"] == SETTINGS.burn_in
    assert entry["seconds"]["optimise"] > 0
    assert entry["state_before"] == store.requests[-2]["state"] != entry["state"]
    assert "1" not in ask(store, "L2", every=99)["accuracy"]  # its test data is gone by now


def test_given_test_data_measures_the_forgotten_task_before_and_after(store):
    entry = ask(store, "U1", test=noise(1, "test", 200))
    assert entry["accuracy_before"]["1"] > entry["accuracy"]["1"]
    assert not (store.folder / "data/1.npz").exists()


def test_a_repeated_id_does_nothing_and_another_order_may_not_have_it(store):
    before = (store.folder / "ledger.jsonl").read_bytes()
    order = Order("L", 0, "first", None, "sha of 0")
    assert service.repeated(store, order) == store.requests[0]
    assert service.repeated(store, Order("U", 0, "another")) is None
    for other in (Order("U", 0, "first"), Order("L", 0, "first", None, "sha of 9")):
        with pytest.raises(UncleError, match="use another --id"):
            service.repeated(store, other)
    assert (store.folder / "ledger.jsonl").read_bytes() == before


def test_ids_count_the_requests_on_a_task(store):
    assert service.order_id(store, "U", 0) == "U0-2"
    assert service.order_id(store, "L", 3) == "L3-1"


def test_damaged_test_data_is_told_and_does_not_stop_a_request(store):
    path = store.folder / "data/0.npz"
    path.write_bytes(path.read_bytes()[:-1])
    entry = ask(store, "U1")
    assert list(entry["accuracy"]) == ["1"]
    assert entry["not_measured"] == [0]
    assert "test data of task 0 is damaged" in store.notes[-1]


def test_learning_needs_data(store):
    with pytest.raises(UncleError, match="learn 2 needs --data"):
        service.answer(store, learner(), load(store), Order("L", 2, "x"))


class Trap:
    """Unpickled, it would leave a file."""

    def __reduce__(self):
        return (open, ("trapped", "w"))


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"x": np.zeros((2, 6, 6, 1), np.uint8)}, "y missing; it holds x"),
        ({"x": np.zeros((2, 6, 6, 2)), "y": np.zeros(2, int)}, r"images are \[2, 6, 6, 2\]"),
        ({"x": np.zeros((2, 6, 6)), "y": np.array([0, 3])}, "labels run from 0 to 3"),
        ({"x": np.array([Trap()]), "y": np.zeros(1, int)}, "Object arrays cannot be loaded"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, arrays, told, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(UncleError, match=told):
        read_npz(tmp_path / "data.npz", SPEC)
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04 and nothing", b"\x93NUMPY"])
def test_a_file_that_is_no_npz(tmp_path, raw):
    (tmp_path / "data.npz").write_bytes(raw)
    with pytest.raises(UncleError, match=r"cannot be read as \.npz"):
        read_npz(tmp_path / "data.npz", SPEC)
    with pytest.raises(UncleError, match="cannot read"):
        read_npz(tmp_path / "missing.npz", SPEC)


def test_images_need_no_labels(tmp_path):
    np.savez(tmp_path / "images.npz", x=np.zeros((4, 6, 6)))
    assert read_images(tmp_path / "images.npz", SPEC).shape == (4, 6, 6, 1)
