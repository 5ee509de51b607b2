"""What made a result: data, settings, requests and code. Seeds of one origin are one row.

Runs on other data never stand in one table, whatever their data are called.
"""

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

from uncle_jax.config import fingerprint, text_of
from uncle_jax.report.results import modern
from uncle_jax.requests import TABLE_4

SETTING = ("dataset", "requests", "method", "config", "settings", "remarks", "code")
"""What all seeds of a run have alike in config.json, beside their data."""
ELSEWHERE = ("archives", "verified", "root", "list", "class_order")
"""What config.json says of data beside their content: how they came, and what a seed draws."""


def same_setting(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two config.json are of one experiment, their seeds and versions apart."""
    one, other = modern(one), modern(other)
    alike = all((one.get(key) or None) == (other.get(key) or None) for key in SETTING)
    return alike and data_of(one) == data_of(other)


def difference(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """The first thing in which two config.json differ, as "beta 0.1, now 1.0"."""
    older = theirs.get("config", {}).keys() - ours["config"].keys()
    if older and theirs.get("method") == ours["method"]:
        return f"of an earlier version, whose config has {min(older)}"
    for key in ("dataset", "requests", "method", "remarks"):
        if theirs.get(key) != ours.get(key):
            return f"{key} {_short(theirs.get(key))}, now {_short(ours.get(key))}"
    if theirs.get("code") != ours.get("code"):
        return f"the code of {ours['method']} is another now"
    for what, a, b in (
        ("", theirs.get("config") or {}, ours.get("config") or {}),
        ("", theirs.get("settings") or {}, ours.get("settings") or {}),
        ("data: ", data_of(theirs), data_of(ours)),
    ):
        for key in {**b, **a}:
            if a.get(key) != b.get(key):
                return f"{what}{key} {_short(a.get(key))}, now {_short(b.get(key))}"
    return f"fingerprint {theirs.get('fingerprint')}, now {ours['fingerprint']}"


def data_of(told: Mapping[str, Any]) -> dict[str, Any]:
    """What a config.json says of the content of its data, which all seeds have alike."""
    return _content(told.get("data") or {})


def data_key(told: Mapping[str, Any]) -> str:
    """Twelve hex digits that are the same for the same content."""
    return fingerprint(data_of(told))


def command_of(told: Mapping[str, Any], seeds: Iterable[int]) -> str:
    """The `uncle run` that repeats a config.json; where data are is left to the reader."""
    words = ["uncle", "run", "--dataset", told["dataset"]]
    words += ["--preset", str(told["preset"])] if told.get("preset") else []
    words += ["--method", told["method"]]
    source = told.get("source", "authors")
    words += [] if source == "authors" else ["--settings", source]
    for key, value in (told.get("changes") or {}).items():
        words += ["--set", f"{key}={text_of(value)}"]
    sequences = TABLE_4.get(told["dataset"], ())
    if told["requests"] in sequences:
        words += ["--seq", str(sequences.index(told["requests"]) + 1)]
    else:
        words += ["--requests", told["requests"]]
    return shlex.join([*words, "--seeds", *map(str, seeds)])


def _content(data: Any) -> Any:
    if not isinstance(data, Mapping):
        return data
    return {key: _content(value) for key, value in data.items() if key not in ELSEWHERE}


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
