"""The attacks of evaluation/audit on a finished run: on its stores, and on references made for it.

    WORKDIR/seed<k>/audit.json       each finding, written as it is made

A killed audit goes on where it was. What is found in references is kept beside them too, so that
the next run of the same learner has it for nothing (runs/references.py).
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from uncle_jax.config import as_dict, restored
from uncle_jax.data.load import Choice
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.audit.classes import ClassRelearning
from uncle_jax.evaluation.audit.embedding_search import EmbeddingSearch
from uncle_jax.evaluation.audit.relearning import Relearning
from uncle_jax.evaluation.audit.representation import Representation
from uncle_jax.evaluation.audit.rounding import Rounding
from uncle_jax.files import write_whole
from uncle_jax.report.results import SeedRun, read_json
from uncle_jax.runs.attacks import PLAN, AuditSettings, Found, attack, mark_of, plan
from uncle_jax.runs.environment import environment
from uncle_jax.runs.references import Known
from uncle_jax.runs.subject import SILENT, Piece, Subject, Watch

PARTS = {
    "search": EmbeddingSearch,
    "relearning": Relearning,
    "representation": Representation,
    "rounding": Rounding,
    "classes": ClassRelearning,
}


def audit(
    run: SeedRun,
    settings: AuditSettings,
    data: Choice,
    watch: Watch = SILENT,
    shared: Path | None = None,
    until: float | None = None,
) -> dict[str, Any]:
    """WORKDIR/seed<k>/audit.json of a finished seed, completed and returned.

    More tasks or attacks than an earlier call asked for are added to what it found. `shared`: where
    references are; by default `.references` beside the work directory. After `until`
    (time.monotonic) no attack is begun, and what is returned is not complete.

    Raises UncleError where the run's store or its data are not there, or another audit is.
    """
    path = run.folder / "audit.json"
    known = read_json(path)
    if known is not None and known["run"]["fingerprint"] != run.told.get("fingerprint"):
        raise UncleError(f"{path} is of another run than is there now; remove it")
    if known is not None:
        before = read_settings(known["settings"])
        if not before.alike(settings):
            raise UncleError(
                f"{path} is of an audit with other settings; remove it, or repeat those"
            )
        settings = before.widened(settings)
        if known["complete"] and settings == before and known.get("plan") == PLAN:
            return known
    subject = Subject(run, data, watch, shared)
    _check_tasks(subject, settings)
    _ = subject["run"]  # before a reference is made for nothing
    if known is None:
        names = ("dataset", "preset", "method", "requests", "fingerprint")
        of = {"seed": run.seed} | {name: run.told.get(name) for name in names}
        known = {"run": of, "environment": [], "found": []}
    told = {**known, "complete": False, "plan": PLAN, "settings": as_dict(settings)}
    here = environment()
    if here not in told["environment"]:
        told["environment"].append(here)
    pieces = plan(subject, settings)
    done = {json.dumps(found["piece"]) for found in told["found"]}
    for number, piece in enumerate(pieces, start=1):
        if json.dumps(piece._asdict()) in done:
            continue
        if until is not None and time.monotonic() > until:
            return told
        watch.on_piece(piece, number, len(pieces))
        told["found"].append(_found(subject, piece, settings))
        write_whole(path, json.dumps(told) + "\n")
        watch.on_found(told["found"][-1])
    order = [json.dumps(piece._asdict()) for piece in pieces]
    told["found"].sort(key=lambda found: _rank(order, found))
    told["complete"] = True
    write_whole(path, json.dumps(told) + "\n")
    return told


def _rank(order: list[str], found: Mapping[str, Any]) -> int:
    """Where a finding stands; last what an earlier version attacked, and this one would not."""
    piece = json.dumps(found["piece"])
    return order.index(piece) if piece in order else len(order)


def _check_tasks(subject: Subject, settings: AuditSettings) -> None:
    for task in settings.tasks:
        if task not in subject.gone:
            gone = ", ".join(map(str, subject.gone)) or "none"
            raise UncleError(f"task {task} is not unlearned in {subject.run.folder} (are: {gone})")


def _found(subject: Subject, piece: Piece, settings: AuditSettings) -> Found:
    """What `piece` finds; in a shared reference, what it once found there."""
    if piece.state not in ("never", "kept"):
        return attack(subject, piece, settings)
    known = Known(subject.shared, subject.run.seed)
    with known.alone():
        mark = mark_of(subject, piece, settings)
        found = known.get(mark)
        if found is None:
            found = attack(subject, piece, settings)
            known.put(mark, found)
        return dict(found)


def read_settings(told: Mapping[str, Any]) -> AuditSettings:
    """The settings that an audit.json tells; what an earlier version did not know is as usual."""
    parts = {name: restored(kind, told[name]) for name, kind in PARTS.items() if name in told}
    return restored(AuditSettings, {**told, **parts})
