"""Which attacks are made on what."""

import dataclasses
import json

import numpy as np
from auditing import RELEARNED

from uncle_jax.data.load import Choice
from uncle_jax.evaluation.audit.rounding import Rounding
from uncle_jax.requests import parse
from uncle_jax.runs.attacks import ATTACKS, AuditSettings, able, attack, mark_of, plan
from uncle_jax.runs.subject import Piece, Subject

STATES = ("kept", "never", "run", "swapped")


def test_an_attack_looks_at_its_power_then_at_its_reference_then_at_the_run(run, monkeypatch):
    subject = Subject(run, Choice())
    monkeypatch.setattr(subject, "method", subject.method._replace(generator=True))
    searches = plan(subject, dataclasses.replace(RELEARNED, attacks=("embedding search",), power=3))
    assert searches == [
        *(Piece("embedding search", "unlearned", s, 0, 0) for s in STATES),
        *(Piece("embedding search", "retained", "run", task, task) for task in (1, 2)),
        Piece("embedding search", "never", "run", 3, 3),
    ]
    alone = plan(subject, AuditSettings(power=0, references=0))
    assert {p.role for p in alone} == {"unlearned"}
    assert list(dict.fromkeys(p.attack for p in alone)) == [
        a for a in ATTACKS if a not in ("representation", "classes")
    ]


def test_classes_are_looked_for_where_they_were_unlearned(run, monkeypatch):
    subject = Subject(run, Choice())
    monkeypatch.setattr(subject, "method", subject.method._replace(network=True, main=True))
    spec = dataclasses.replace(subject.spec, requests=parse("L0 L1 U0:3+4 L2-1 U1"))
    monkeypatch.setattr(subject, "spec", spec)
    pieces = [p for p in plan(subject, AuditSettings()) if p.attack == "classes"]
    assert pieces == [
        Piece("classes", "unlearned", state, task, task)
        for state in ("kept", "never", "run")
        for task in (0, 2)
    ]
    assert subject.lacking == {0: (3, 4), 2: (1,)}
    monkeypatch.setattr(subject, "spec", dataclasses.replace(spec, requests=parse("L0 U0:3")))
    assert {p.attack for p in plan(subject, AuditSettings())} == {"classes"}


def test_a_method_is_attacked_where_it_has_what_is_looked_at(run):
    subject = Subject(run, Choice())
    assert [a for a in ATTACKS if able(subject, a)] == [
        "relearning",
        "weights",
        "rounding",
        "margins",
    ]


def test_tasks_to_spare_are_relearned_in_a_free_slot(run):
    pieces = plan(Subject(run, Choice()), dataclasses.replace(RELEARNED, references=9))
    assert [(p.task, p.slot) for p in pieces if p.role == "never"] == [
        *((t, t) for t in range(3, 10)),
        (10, 0),
        (11, 0),
    ]


def test_what_decides_a_finding_in_a_reference_is_in_its_mark(run):
    subject = Subject(run, Choice())
    piece = Piece("rounding", "unlearned", "never", 0, 0)
    mark = mark_of(subject, piece, AuditSettings())
    assert mark == mark_of(Subject(run, Choice()), piece, AuditSettings(power=9, images=5))
    others = [
        mark_of(subject, piece._replace(state="kept"), AuditSettings()),
        mark_of(subject, piece, AuditSettings(rounding=Rounding(bits=(3,)))),
    ]
    assert len({mark, *others}) == 3


def test_what_is_not_finite_is_null(run):
    subject = Subject(run, Choice())

    def broken(state, task, images):
        return np.full((len(images), 10), np.nan)

    class Broken:
        def __getitem__(self, name):
            held = Subject.__getitem__(subject, name)
            return held._replace(method=held.method._replace(logits=broken))

        def __getattr__(self, name):
            return getattr(subject, name)

    found = attack(Broken(), Piece("rounding", "unlearned", "run", 0, 0), AuditSettings())
    assert found["accuracy"] == [None, None]
    json.dumps(found, allow_nan=False)
