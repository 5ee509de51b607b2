"""The settings of a run of which nothing else is said: its authors', or those that trials chose.

authors  the preset's, and each method's own as its authors have them
tuned    what `uncle tune --all` chose on validation data: its learner's rate and schedule, and its
         own settings; every trial is in the record that the preset names
"""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from uncle_jax.config import Config, replace
from uncle_jax.errors import UncleError, allowed
from uncle_jax.methods import registry
from uncle_jax.presets import PRESETS, Preset, preset
from uncle_jax.runs.spaces import UNLEARNING, family

SOURCES = ("authors", "tuned")


def usual(dataset: str, name: str, method: str, source: str) -> tuple[Config, Any]:
    """Every learner's settings, and `method`'s own (None if it has none). Raises UncleError."""
    if source not in SOURCES:
        raise allowed("--settings", source, SOURCES)
    chosen = preset(dataset, name)
    own = registry.settings_of(method, registry.find(method), {}, chosen.uncle)
    if source == "authors":
        return chosen.config, own
    theirs, mine = chosen_by_trials(dataset, name, method)
    return replace(chosen.config, theirs), registry.changed(method, own, mine) if mine else own


def chosen_by_trials(dataset: str, name: str, method: str) -> tuple[dict[str, str], dict[str, str]]:
    """What trials chose for `method`: of every learner's settings, and of its own, as text.

    Raises UncleError where they did not try it.
    """
    learner, found = family(method), trials(dataset, name)
    try:
        learning = found["learning"]["choices"][learner]
        unlearning = found["unlearning"]["choices"][method] if method in UNLEARNING else {}
    except KeyError:
        tried = sorted({*found["unlearning"]["choices"]})
        told = f"{method} has no tuned settings for {dataset}, preset {name}"
        raise UncleError(f"{told}; tried were {', '.join(tried)}") from None
    return learning, {key.rpartition(".")[2]: value for key, value in unlearning.items()}


def trials(dataset: str, name: str) -> Any:
    """The record of `uncle tune --all` that the preset `name` has. Raises UncleError if none."""
    chosen = preset(dataset, name)
    if not chosen.trials:
        having = [
            f"{data} ({name})"
            for data, known in PRESETS.items()
            for name, one in known.items()
            if one.trials
        ]
        told = f"{dataset}, preset {name}, has no tuned settings"
        raise UncleError(f"{told}; those that have: {', '.join(having) or 'none'}")
    return _read(chosen)


@cache
def _read(chosen: Preset) -> Any:
    place = files("uncle_jax") / "trials" / chosen.trials
    return json.loads(place.read_text(encoding="utf-8"))
