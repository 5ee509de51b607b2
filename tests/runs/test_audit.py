"""Audits of finished runs: references, findings kept as they are made, and what is refused."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from uncle_jax.core.status import describe
from uncle_jax.data.load import Choice
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.accuracy import evaluate
from uncle_jax.evaluation.audit.relearning import Relearning
from uncle_jax.report.results import read_run
from uncle_jax.requests import parse
from uncle_jax.runs import audit as audits
from uncle_jax.runs import workdir as workdirs
from uncle_jax.runs.audit import AuditSettings, Piece, Subject, Watch, audit, plan
from uncle_jax.runs.execute import execute
from uncle_jax.runs.spec import RunSpec

OWN = Path(__file__).resolve().parents[2] / "experiments" / "own_method.py"
SPEC = RunSpec(
    "permuted-digits", method=f"{OWN}:nearest_mean", requests=parse("L0 L1 U0 L2"), seeds=(3,)
)
FEW = AuditSettings(references=1)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """A run of the method of a user's own that compiles nothing."""
    folder = tmp_path_factory.mktemp("audit") / "w"
    execute(SPEC, folder)
    return folder


@pytest.fixture
def run(workdir, tmp_path):
    """That run, in a folder of the test's own."""
    shutil.copytree(workdir, tmp_path / "w")
    return read_run(tmp_path / "w")[0][0]


def test_every_finding_is_kept_with_what_it_is_of(run):
    pieces, found, states = [], [], []
    watch = Watch(
        on_piece=lambda piece, number, of: pieces.append((str(piece), number, of)),
        on_found=found.append,
        on_state=lambda name, request: states.append((name, request and str(request))),
    )
    told = audit(run, FEW, Choice(), watch)
    assert [p for p, *_ in pieces] == [
        "relearning: task 0 (unlearned)",
        "relearning: task 0 (unlearned, never)",
        "relearning: task 0 (unlearned, swapped)",
        "relearning: task 1 (retained)",
        "relearning: task 2 (retained)",
        "relearning: task 3 (never)",
    ]  # no search: it generates no networks
    assert [number for _, number, _ in pieces] == [1, 2, 3, 4, 5, 6]
    assert told["found"] == found
    assert told["complete"]
    assert [one["place"] for one in found] == [0, 0, 0, 1, 2, None]
    assert all(np.shape(one["accuracy"]) == (1, 3) for one in found)
    assert found[0]["accuracy"][0][1] > 80  # it learns at once
    assert json.loads((run.folder / "audit.json").read_text()) == told
    assert told["run"]["seed"] == 3
    assert told["environment"][0]["versions"]["jax"]
    assert states == [
        ("never", None),
        ("never", "L1"),
        ("never", "L2"),
        ("swapped", None),
        *(("swapped", word) for word in ("L0", "L1", "U0", "L2")),
    ]


def test_a_killed_audit_goes_on_and_a_finished_one_is_read(run, monkeypatch):
    whole = audit(run, FEW, Choice())
    path = run.folder / "audit.json"
    part = {**whole, "found": whole["found"][:4], "complete": False}
    path.write_text(json.dumps(part))
    again, made = [], []
    watch = Watch(
        on_piece=lambda piece, number, of: again.append(number),
        on_state=lambda name, request: made.append(name),
    )
    after = audit(run, FEW, Choice(), watch)
    assert again == [5, 6]
    assert made == []
    values = [[one["accuracy"] for one in told["found"]] for told in (whole, after)]
    assert values[0] == values[1]
    monkeypatch.setattr(audits, "Subject", None)  # nothing is loaded any more
    shutil.rmtree(run.folder / "store")
    assert audit(run, FEW, Choice()) == after


def test_other_settings_are_another_audit(run):
    audit(run, FEW, Choice())
    with pytest.raises(UncleError, match="other settings"):
        audit(run, AuditSettings(relearning=Relearning(repeats=2)), Choice())


def test_more_tasks_are_added_to_what_an_audit_found(run):
    whole = audit(run, AuditSettings(references=2), Choice())
    (run.folder / "audit.json").unlink()
    few = audit(run, AuditSettings(references=0, power=1), Choice())
    assert len(few["found"]) == len(whole["found"]) - 3
    made = []
    watch = Watch(on_found=made.append)
    assert _timeless(audit(run, AuditSettings(references=2), Choice(), watch)) == _timeless(whole)
    assert len(made) == 3
    assert len(audit(run, AuditSettings(power=0), Choice(), watch)["found"]) == len(whole["found"])
    assert len(made) == 3  # fewer than there are: nothing is left to do


def _timeless(told):
    return {**told, "found": [{**one, "seconds": 0} for one in told["found"]]}


def test_an_audit_of_another_run_is_refused_and_goes_with_the_run_it_is_of(run):
    audit(run, FEW, Choice())
    other = run._replace(told={**run.told, "fingerprint": "other"})
    with pytest.raises(UncleError, match="another run"):
        audit(other, FEW, Choice())
    workdirs.clear(run.folder.parent, run.seed)
    assert not (run.folder / "audit.json").exists()
    assert not (run.folder / "audit").exists()


def test_a_run_without_its_store_is_refused(run):
    shutil.rmtree(run.folder / "store")
    with pytest.raises(UncleError, match="only a run whose store is kept can be audited"):
        audit(run, FEW, Choice())
    assert not (run.folder / "audit.json").exists()


def test_other_data_are_refused(run):
    told = {**run.told, "data": {"train_images": 1}}
    with pytest.raises(UncleError, match="ran on other data"):
        audit(run._replace(told=told), FEW, Choice())


def test_the_states_are_the_runs_and_of_those_that_never_learned_the_task(run):
    subject = Subject(run, Choice())
    states = subject.states
    assert describe(states.run) == {"learned": [1, 2], "unlearned": [0]}
    assert describe(states.never) == {"learned": [1, 2], "unlearned": []}
    assert describe(states.swapped) == {"learned": [1, 2], "unlearned": [0]}
    for state in (states.run, states.never, states.swapped):
        assert evaluate(subject.method, state, 1, subject.benchmark.load(1, "test")) > 80


def test_the_control_learned_another_task_in_the_unlearned_ones_place(run):
    subject = Subject(run, Choice())
    assert subject.unused == [*range(3, 20)]  # of the benchmark, then to spare
    assert subject.swap == {0: 19}
    benchmark = audits.swapped(subject)
    for split in ("train", "test"):
        images = [one.load(t, split).images for one, t in ((benchmark, 0), (subject.benchmark, 19))]
        np.testing.assert_array_equal(*images)
    np.testing.assert_array_equal(
        benchmark.load(1, "train").images, subject.benchmark.load(1, "train").images
    )


def test_a_hypernetwork_is_searched_too(run, monkeypatch):
    subject = Subject(run, Choice())
    method = subject.method._replace(generator=True)
    monkeypatch.setattr(subject, "method", method)
    searches = [p for p in plan(subject, FEW) if p.attack == "embedding search"]
    assert searches == [
        Piece("embedding search", role, "run", task, task)
        for role, task in (("unlearned", 0), ("retained", 1), ("retained", 2), ("never", 3))
    ]
    # where one task can be easier than another, it is also searched where it never was
    there = Piece("embedding search", "unlearned", "never", 0, 0)
    assert there not in plan(subject, FEW)
    monkeypatch.setattr(
        Subject, "benchmark", dataclasses.replace(subject.benchmark, spare=0), raising=True
    )
    assert there in plan(subject, FEW)
    # where every task was learned, the reference is the unlearned one where it never was
    monkeypatch.setattr(Subject, "unused", [])
    searches = [p for p in plan(subject, FEW) if p.role == "never"]
    assert searches == [Piece("embedding search", "never", "never", 0, 0)]
    alone = dataclasses.replace(FEW, attacks=("relearning",), power=0)
    assert {p.role for p in plan(subject, alone)} == {"unlearned"}
