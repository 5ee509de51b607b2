import shutil

import pytest
from storing import SETTINGS, Stop, ask, learner, load, new_store, noise, template

from uncle_jax.engine import request as service
from uncle_jax.engine.growing import grown
from uncle_jax.engine.request import Order
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.audit import store as verify
from uncle_jax.requests import Request, parse
from uncle_jax.store import certificate
from uncle_jax.store.copies import read_tests
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
    assert service.order_id(store, Request("U", 0)) == "U0-2"
    assert service.order_id(store, Request("L", 3)) == "L3-1"


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


def test_a_class_of_a_task_is_unlearned_and_with_it_its_test_images(store):
    whole = read_tests(store)[0][0]
    entry = ask(store, "U0:2")
    assert (entry["id"], entry["op"], entry["classes"]) == ("U0:2-2", "C", [2])
    assert entry["class_accuracy"]["before"] > 50
    assert entry["class_accuracy"]["after"] < 10
    assert entry["accuracy"]["0"] > 50 < entry["accuracy"]["1"]
    assert entry["tasks"]["learned"] == [0, 1]
    assert entry["procedure"]["class_unlearning"] == "relearn"
    assert "data/0.npz" in [path for path, *_ in entry["erase"]]
    assert [path.name for path in sorted((store.folder / "data").iterdir())] == ["0-3.npz", "1.npz"]
    kept = read_tests(store)[0][0]
    assert sorted(set(kept.labels)) == [0, 1]
    assert len(kept.labels) == sum(whole.labels != 2)
    assert store.notes == [f"--data: {sum(noise(0, 'train', 256).labels == 2)} images of what is "
                           "unlearned were left out"]  # fmt: skip
    page = certificate.text(certificate.certify(store.entries, entry["id"]))
    assert "class 2 of task 0 was unlearned" in page
    assert "learned again from its other classes" in page
    assert (store.folder / "certificates" / "3.txt").read_text() == page
    report = verify.verify(store, learner(), template(learner()), {})
    assert report.problems == ()
    # what is asked again, or of a task that is gone
    assert service.already_unlearned(store, Request("C", 0, (2,))) == entry
    assert service.already_unlearned(store, Request("C", 0, (1, 2))) is None
    for word, message in (
        ("U0:1+2", "class 2 of task 0 is not there any more"),
        ("U0:0+1", "no other class left"),
        ("U1:3", "unknown class 3 of task 1 .allowed: 0 to 2"),
        ("U2:0", "task 2 is not learned"),
    ):
        with pytest.raises(UncleError, match=message):
            service.check(store, parse(word)[0])
    ask(store, "U0")
    assert [path.name for path in (store.folder / "data").iterdir()] == ["1.npz"]
    with pytest.raises(UncleError, match="needs --data, the images of its other classes"):
        ask(store, "U1:0", data=None)


def test_a_class_request_that_was_interrupted_ends_in_the_same_bits(store, answered, tmp_path):
    with open_store(shutil.copytree(answered, tmp_path / "other"), write=True) as other:
        whole = ask(other, "U1:0")
    steps = 2 * 11 + 1  # of the burn-in 40, then of the third epoch of learning
    with pytest.raises(Stop):
        ask(store, "U1:0", on_step=Counted(SETTINGS.burn_in + steps))
    assert (store.folder / "inflight").iterdir()
    again = ask(store, "U1:0")
    assert any("goes on after" in note for note in store.notes)
    assert again["state"] == whole["state"]


class Counted:
    """Interrupts a request at its so-manieth step, whatever the steps are called."""

    def __init__(self, last):
        self.left = last

    def __call__(self, *step):
        self.left -= 1
        if not self.left:
            raise Stop


def test_a_store_grows_with_the_request_that_needs_it(store):
    room = len(load(store).status)
    assert store.identity["n_tasks"] == room == 4
    method, state = grown(learner(), load(store), 7)
    data = noise(6, "train", 256)
    _, entry = service.answer(store, method, state, Order("L", 6, "new", data, "sha of 6"))
    assert entry["n_tasks"] == store.identity["n_tasks"] == 7
    assert entry["tasks"]["learned"] == [0, 1, 6]
    assert entry["accuracy"]["0"] > 50 < entry["accuracy"]["1"]
    with open_store(shutil.copytree(store.folder, store.folder.parent / "again"), True) as again:
        assert again.identity["n_tasks"] == 7
        later = again.load(template(method))
        assert len(later.status) == 7
        assert verify.verify(again, method, template(method), {}).problems == ()
        after, entry = service.answer(again, method, later, Order("U", 6, "gone"))
        assert entry["n_tasks"] == again.identity["n_tasks"] == len(after.status) == 7
