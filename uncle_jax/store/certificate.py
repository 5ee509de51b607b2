"""The certificate of an unlearn request: what was asked, done, measured, and not claimed.

A pure function of the ledger, so that it can be written again at any time and checked against it.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from uncle_jax import files
from uncle_jax.errors import UncleError
from uncle_jax.store.ledger import Entry

_NO_TRACE = (
    "that no trace of the task's data is left in phi or in the chunk embeddings, which train in the"
    " first request: the state stops generating the task's network, no more is measured"
)
_ELSEWHERE = (
    "that the blocks of erased files were overwritten: they were unlinked, and snapshots, backups,"
    " swap and the spare area of a flash drive are beyond this program",
    "anything about copies of the data, the state or predictions that others made",
)
_NOT_BACK = (
    "that the task cannot be brought back by someone who has the state and the task's images: right"
    " after UnCLe unlearned the task it had learned first, a search for another embedding brought"
    " it back to 93-96 % on permuted digits from 48 of 48 starts (never learned: 48 % at best), and"
    " with fresh_noise 1 and adversary_noise 1 to 93-94 % from 22 of 48 (docs/audit.md)"
)
_REFIT = (
    "that the state is bit for bit what it would be had the task never been learned: it was made"
    " anew of the retained tasks' networks, their norm statistics and a key, each network learned"
    " apart from the task's, but an earlier fit of all of them left its rounding in each"
)
_INHERITED = (
    "that nothing of the task is left in the retained tasks' networks, of which the state was made"
    " anew: those that were learned after it took over from it (refit.inherit), and a search can"
    " bring it back from them (docs/audit.md)"
)
EDITION = 3
"""Of today's certificates; a ledger's entry names its own, so that each reads as it was written."""


def not_claimed(edition: Any, procedure: Mapping[str, Any]) -> tuple[str, ...]:
    """What a certificate of `edition` does not claim of a `procedure`.

    Raises UncleError for an edition of a later version's.
    """
    if edition not in (1, 2, EDITION):
        raise UncleError(
            f"the ledger asks for certificates of edition {edition}; this version knows up to "
            f"{EDITION}"
        )
    if edition == 1:
        return (_NO_TRACE, *_ELSEWHERE)
    if edition >= 3 and procedure.get("method") == "refit":
        return (_INHERITED if procedure["inherit"] else _REFIT, *_ELSEWHERE)
    return (_NO_TRACE, _NOT_BACK, *_ELSEWHERE)


_FEATURES = (
    "that nothing of the classes is left: the task's features are as they were, and what reads them"
    " tells the classes as well as before (docs/classes.md)"
)
_AGAIN = (
    "that no trace of the classes' data is left in phi or in the chunk embeddings: the task was"
    " unlearned whole, and learned again from its other classes, no more is measured here"
)


def not_claimed_of_classes(procedure: Mapping[str, Any]) -> tuple[str, ...]:
    """What a certificate of unlearned classes does not claim of a `procedure`."""
    own = procedure.get("class_unlearning") == "own"
    return (_FEATURES if own else _AGAIN, *_ELSEWHERE)


def certify(entries: Sequence[Entry], identifier: str) -> dict[str, Any]:
    """The certificate of unlearn request `identifier`, whose entries must be in the ledger."""
    events = {entry["event"]: entry for entry in entries if entry.get("id") == identifier}
    asked, erased = events["durable"], events["erased"]
    before, after = asked.get("accuracy_before") or {}, asked.get("accuracy") or {}
    task, procedure = str(asked["task"]), asked.get("procedure") or {}
    of_task = {"before": before.get(task), "after": after.get(task)}
    forgotten, not_told = of_task, not_claimed(asked.get("edition", 1), procedure)
    classes = {}
    if asked["op"] == "C":
        of_class = asked.get("class_accuracy") or {}
        forgotten = {name: of_class.get(name) for name in of_task}
        classes, not_told = {"classes": asked["classes"]}, not_claimed_of_classes(procedure)
    request = {key: asked.get(key) for key in ("id", "op", "task", "started")}
    return {
        "certificate": "unlearning",
        "request": request | classes,
        "durable": asked["time"],
        "erased_at": erased["time"],
        "procedure": asked.get("procedure"),
        "state_before": asked["state_before"],
        "state_after": asked["state"],
        "accuracy_percent": {
            "forgotten": forgotten,
            "retained": {
                str(kept): {"before": before.get(str(kept)), "after": after.get(str(kept))}
                for kept in asked["tasks"]["learned"]
            },
        },
        "erased": [
            {"path": path, "files": files, "bytes": size} for path, files, size in asked["erase"]
        ],
        "history_kept": asked["history_kept"],
        "ledger": {"durable": asked["hash"], "erased": erased["hash"]},
        "not_claimed": list(not_told),
    }


def text(content: dict[str, Any]) -> str:
    """`content` as a page for people."""
    request, accuracy = content["request"], content["accuracy_percent"]
    what = f"task {request['task']}"
    if classes := request.get("classes"):
        what = f"class {' '.join(map(str, classes))} of {what}"
    lines = [
        f"Certificate: {what} was unlearned (request {request['id']})",
        "",
        *([f"asked    {request['started']}"] if request["started"] else []),
        f"durable  {content['durable']}",
        f"erased   {content['erased_at']}",
        "",
        "Procedure: "
        + ", ".join(f"{key} {value}" for key, value in (content["procedure"] or {}).items()),
        f"State before  {content['state_before']}",
        f"State after   {content['state_after']}",
        "",
        "Test accuracy (%)      before   after",
        _row(f"{what}, forgotten", accuracy["forgotten"]),
        *(_row(f"task {task}, retained", pair) for task, pair in accuracy["retained"].items()),
        "",
    ]
    if content["history_kept"]:
        lines.append("HISTORY IS KEPT in this store: earlier checkpoints still hold the task.")
    lines.append("Erased:" if content["erased"] else "Erased: nothing was there to erase")
    for item in content["erased"]:
        lines.append(f"  {item['path']} ({item['files']} files, {item['bytes']} bytes)")
    lines += ["", "Not claimed:", *(f"  - {claim}" for claim in content["not_claimed"]), ""]
    return "\n".join(
        [
            *lines,
            f"Ledger entries {content['ledger']['durable'][:16]} and "
            f"{content['ledger']['erased'][:16]}",
            "",
        ]
    )


_NOT_SHOWN = (
    "that the task cannot be brought back: what these attacks do not find, others may",
    "anything of a task for which an attack has no power: it says so of those that it cannot find "
    "where they are",
)


def attest(entry: Entry) -> dict[str, Any]:
    """The certificate of an audit, an entry of the ledger."""
    told = ("task", "time", "after_requests", "state", "attacks", "data", "never", "retained")
    return {
        "certificate": "audit",
        "request": entry["step"],
        **{key: entry.get(key) for key in told},
        "settings": entry.get("settings"),
        "ledger": entry["hash"],
        "not_claimed": list(_NOT_SHOWN),
    }


def audit_text(content: Mapping[str, Any]) -> str:
    """An audit's certificate as a page for people."""
    kept = ", ".join(map(str, content["retained"])) or "none"
    return "\n".join(
        [
            f"Audit: task {content['task']}, unlearned by request number {content['request']}",
            "",
            f"made     {content['time']}, after {content['after_requests']} requests",
            f"State    {content['state']}",
            f"Reference: {len(content['never'])} tasks never learned; power: retained tasks {kept}",
            "Per cent of test images; 95 % intervals over an attack's draws, in this one state",
            "",
            *(attack_line(one) for one in content["attacks"]),
            "",
            "Not claimed:",
            *(f"  - {claim}" for claim in content["not_claimed"]),
            "",
            f"Ledger entry {content['ledger'][:16]}",
            "",
        ]
    )


def attack_line(one: Mapping[str, Any]) -> str:
    """What one attack of an audit found, in a line."""

    def bounds(values: Sequence[float | None] | None) -> str:
        if values is None or None in values:
            return "-"
        mean, low, high = values
        return f"{mean:+.1f} [{low:.1f}, {high:.1f}]"

    found = "-" if one["unlearned"] is None else f"{one['unlearned']:.1f}"
    gap, power = bounds(one["gap"]), bounds(one["power"])
    return f"  {one['attack']}: {found}; gap {gap}; power {power}: {one['verdict']}"


def write(folder: Path, entries: Sequence[Entry]) -> None:
    """FOLDER/<step>.json and .txt for every finished unlearn request that has none yet.

    Raises UncleError if the disk does not take it; the ledger has it all.
    """
    for name, content in expected(entries).items():
        if not (folder / name).exists():
            try:
                files.write(folder / name, content.encode())
            except OSError as error:
                raise UncleError(
                    f"cannot write certificate {folder / name} ({error.strerror}); the request is "
                    "done, and it is written when the store is opened next"
                ) from error


def expected(entries: Sequence[Entry]) -> dict[str, str]:
    """What the certificates of a ledger must read, by file name."""
    files = {}
    done = {entry["id"] for entry in entries if entry["event"] == "erased"}
    for entry in entries:
        if entry["event"] != "durable" or entry["id"] not in done or entry["op"] == "L":
            continue
        # some methods do not unlearn
        if entry["op"] == "C" or entry["task"] in entry["tasks"]["unlearned"]:
            content = certify(entries, entry["id"])
            files[f"{entry['step']}.json"] = json.dumps(content, indent=1) + "\n"
            files[f"{entry['step']}.txt"] = text(content)
    for entry in entries:
        if entry["event"] == "audited":
            content = attest(entry)
            name = f"{entry['step']}-audit-{entry['n']}"
            files[f"{name}.json"] = json.dumps(content, indent=1) + "\n"
            files[f"{name}.txt"] = audit_text(content)
    return files


def _row(name: str, pair: dict[str, float | None]) -> str:
    cells = ["not measured" if v is None else f"{v:6.2f}" for v in (pair["before"], pair["after"])]
    return f"  {name:<20} {cells[0]:>7} {cells[1]:>7}"
