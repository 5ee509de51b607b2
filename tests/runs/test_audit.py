"""Audits of finished runs: findings kept as they are made, and what is refused."""

import dataclasses
import json
import shutil
import time

import numpy as np
import pytest
from auditing import RELEARNED

from uncle_jax.data.load import Choice
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.audit.relearning import Relearning
from uncle_jax.runs import audit as audits
from uncle_jax.runs import workdir as workdirs
from uncle_jax.runs.attacks import AuditSettings
from uncle_jax.runs.audit import audit
from uncle_jax.runs.subject import Watch


def test_every_finding_is_kept_with_what_it_is_of(run):
    pieces, found, states = [], [], []
    watch = Watch(
        on_piece=lambda piece, number, of: pieces.append((str(piece), number, of)),
        on_found=found.append,
        on_state=lambda name, request: states.append((name, request and str(request))),
    )
    told = audit(run, RELEARNED, Choice(), watch)
    assert [p for p, *_ in pieces] == [
        "relearning: task 0 (unlearned, kept)",
        "relearning: task 0 (unlearned, never)",
        "relearning: task 0 (unlearned)",
        "relearning: task 0 (unlearned, swapped)",
        "relearning: task 1 (retained)",
        "relearning: task 2 (retained)",
        "relearning: task 3 (never)",
    ]
    assert [number for _, number, _ in pieces] == [1, 2, 3, 4, 5, 6, 7]
    assert told["found"] == found
    assert told["complete"]
    assert [one["place"] for one in found] == [0, 0, 0, 0, 1, 2, None]
    assert all(np.shape(one["accuracy"]) == (1, 3) for one in found)
    assert all(np.shape(one["few"]) == (1, 2, 3) for one in found)
    assert found[0]["accuracy"][0][1] > 80  # it learns at once
    assert json.loads((run.folder / "audit.json").read_text()) == told
    assert told["run"]["seed"] == 3
    assert told["environment"][0]["versions"]["jax"]
    assert states == [
        ("never", None),
        *(("never", word) for word in ("L1", "L2")),
        ("kept", None),
        *(("kept", word) for word in ("L0", "L1", "L2")),
        ("swapped", None),
        *(("swapped", word) for word in ("L0", "L1", "U0", "L2")),
    ]


def test_a_killed_audit_goes_on_and_a_finished_one_is_read(run, monkeypatch):
    whole = audit(run, RELEARNED, Choice())
    path = run.folder / "audit.json"
    part = {**whole, "found": whole["found"][:4], "complete": False}
    path.write_text(json.dumps(part))
    again, made = [], []
    watch = Watch(
        on_piece=lambda piece, number, of: again.append(number),
        on_state=lambda name, request: made.append(name),
    )
    after = audit(run, RELEARNED, Choice(), watch)
    assert again == [5, 6, 7]
    assert made == []
    values = [[one["accuracy"] for one in told["found"]] for told in (whole, after)]
    assert values[0] == values[1]
    monkeypatch.setattr(audits, "Subject", None)  # nothing is loaded any more
    shutil.rmtree(run.folder / "store")
    assert audit(run, RELEARNED, Choice()) == after


def test_other_settings_are_another_audit(run):
    audit(run, RELEARNED, Choice())
    with pytest.raises(UncleError, match="other settings"):
        audit(run, AuditSettings(relearning=Relearning(repeats=2)), Choice())


def test_more_tasks_are_added_to_what_an_audit_found(run):
    asked = dataclasses.replace(RELEARNED, references=2, power=3)
    whole = audit(run, asked, Choice())
    (run.folder / "audit.json").unlink()
    few = audit(run, dataclasses.replace(asked, references=0, power=1), Choice())
    assert len(few["found"]) == len(whole["found"]) - 3
    made = []
    watch = Watch(on_found=made.append)
    assert _timeless(audit(run, asked, Choice(), watch)) == _timeless(whole)
    assert len(made) == 3
    fewer = dataclasses.replace(asked, power=0)
    assert len(audit(run, fewer, Choice(), watch)["found"]) == len(whole["found"])
    assert len(made) == 3  # fewer than there are: nothing is left to do


def _timeless(told):
    return {**told, "found": [{**one, "seconds": 0} for one in told["found"]]}


def test_every_attack_is_made_and_told_in_order(run):
    whole = AuditSettings(references=0, power=0)
    told = audit(run, whole, Choice())
    made = [(f["piece"]["attack"], f["piece"]["state"]) for f in told["found"]]
    assert made == [  # nothing generates networks here, nor tells its layers
        *(("relearning", state) for state in ("kept", "never", "run", "swapped")),
        *(("weights", state) for state in ("kept", "never", "run", "swapped")),
        *(("rounding", state) for state in ("kept", "never", "run", "swapped")),
        *(("margins", state) for state in ("kept", "never", "run", "swapped")),
    ]
    by = {(f["piece"]["attack"], f["piece"]["state"]): f for f in told["found"]}
    assert (by["weights", "kept"]["share"], by["weights", "never"]["share"]) == (1, 0)
    assert len(by["weights", "run"]["accuracy"]) == 21
    assert len(by["margins", "run"]["members"]) == 200
    assert by["margins", "run"]["retained"]["test"] > 80
    assert len(by["rounding", "kept"]["accuracy"]) == 2


def test_what_is_found_in_references_is_found_once(run):
    whole = AuditSettings(references=0, power=0, attacks=("rounding",))
    first = audit(run, whole, Choice())
    (run.folder / "audit.json").unlink()
    made = []
    watch = Watch(on_state=lambda name, request: made.append(name))
    again = audit(run, whole, Choice(), watch)
    assert again["found"][:2] == first["found"][:2]  # to the second that they took
    assert set(made) == {"swapped"}
    elsewhere = run.folder.parent / "elsewhere"
    (run.folder / "audit.json").unlink()
    audit(run, whole, Choice(), watch, shared=elsewhere)
    assert {"never", "kept"} <= set(made) <= {"never", "kept", "swapped"}
    assert sorted(p.name for p in elsewhere.glob("*.json")) == ["attacks-seed3.json"]


def test_an_audit_stops_when_its_time_is_up_and_goes_on(run):
    asked = AuditSettings(references=0, power=0, attacks=("rounding", "margins"))
    told = audit(run, asked, Choice(), until=time.monotonic() - 1)
    assert (told["complete"], told["found"]) == (False, [])
    assert audit(run, asked, Choice())["complete"]


def test_tasks_can_be_chosen_and_must_be_unlearned_ones(run):
    asked = AuditSettings(references=0, power=0, tasks=(0,), attacks=("rounding",))
    assert len(audit(run, asked, Choice())["found"]) == 4
    with pytest.raises(UncleError, match=r"task 1 is not unlearned in .* \(are: 0\)"):
        audit(run, dataclasses.replace(asked, tasks=(1,)), Choice())


def test_an_audit_of_an_earlier_version_is_added_to(run):
    """It made two attacks, and knew no settings of others."""
    whole = audit(run, RELEARNED, Choice())
    old = {name: whole["settings"][name] for name in ("search", "references", "power")}
    old |= {"relearning": {"epochs": [0.5, 1.0, 2.0], "repeats": 1}, "attacks": ["relearning"]}
    found = [f for f in whole["found"] if f["piece"]["state"] != "kept"]
    (run.folder / "audit.json").write_text(json.dumps({**whole, "settings": old, "found": found}))
    after = audit(run, AuditSettings(references=1, attacks=("relearning", "rounding")), Choice())
    assert len(after["found"]) == len(whole["found"]) + 4
    assert after["complete"]
    fewer = [f for f in after["found"] if f["piece"]["state"] != "swapped"]
    (run.folder / "audit.json").write_text(json.dumps({**after, "plan": 1, "found": fewer}))
    assert len(audit(run, RELEARNED, Choice())["found"]) == len(after["found"])


def test_an_audit_of_another_run_is_refused_and_goes_with_the_run_it_is_of(run):
    audit(run, RELEARNED, Choice())
    other = run._replace(told={**run.told, "fingerprint": "other"})
    with pytest.raises(UncleError, match="another run"):
        audit(other, RELEARNED, Choice())
    workdirs.clear(run.folder.parent, run.seed)
    assert not (run.folder / "audit.json").exists()
    assert not (run.folder / "audit").exists()


def test_a_run_without_its_store_is_refused(run):
    shutil.rmtree(run.folder / "store")
    with pytest.raises(UncleError, match="only a run whose store is kept can be audited"):
        audit(run, RELEARNED, Choice())
    assert not (run.folder / "audit.json").exists()


def test_other_data_are_refused(run):
    told = {**run.told, "data": {"train_images": 1}}
    with pytest.raises(UncleError, match="ran on other data"):
        audit(run._replace(told=told), RELEARNED, Choice())
