"""What may be chosen of each learner and each method: the same number of trials for all.

`uncle tune --all` tries, of each, the settings as they are and then draws from here. What a method
is known to depend on stands here, whoever wrote it; UnCLe's own settings beside the others'.
"""

import itertools
import random
from collections.abc import Mapping, Sequence
from typing import Any

from uncle_jax.errors import UncleError
from uncle_jax.methods import registry

FAMILIES = {
    "hypernetwork": "never",
    "derpp": "never-derpp",
    "independent": "clpu",
    "lwsf": "lwsf",
}
"""Learners by name: a method that learns as all of its family do, and unlearns nothing."""

Space = Mapping[str, Sequence[str]]
LEARNER: Space = {
    "lr": ("2.5e-4", "5e-4", "1e-3", "2e-3", "4e-3", "8e-3"),
    "schedule": ("cosine", "constant"),
}
_TEACHER: Space = {
    "lr": ("3e-5", "1e-4", "3e-4", "1e-3", "3e-3"),
    "epochs": ("1", "5", "20"),
    "retain_fraction": ("0.3", "1"),
}
_GENERATED: Space = {
    "student_lr": ("3e-4", "1e-3", "3e-3"),
    "student_iters": ("5", "15"),
    "beta_at": ("5", "50", "250"),
}
UNLEARNING: Mapping[str, Space] = {
    "uncle": {
        "gamma": ("0.003", "0.01", "0.03", "0.1"),
        "unlearn_lr": ("1e-4", "3e-4", "1e-3", "3e-3"),
        "burn_in": ("50", "100", "200"),
    },
    "refit": {
        "refit_steps": ("50", "100", "200", "400"),
        "refit_lr": ("1e-3", "3e-3", "1e-2"),
    },
    "jit-hnet": {
        "lr": ("1e-3", "3e-3", "1e-2", "3e-2", "1e-1"),
        "sigma": ("0.1", "0.5", "1"),
        "reg": ("false", "true"),
    },
    "gkt-hnet": _GENERATED,
    "badteacher": _TEACHER,
    "uniclun": _TEACHER,
    "scrub": {
        "lr": ("5e-5", "2e-4", "5e-4", "2e-3"),
        "optimiser": ("sgd", "adam"),
        "forget_batch": ("32", "256"),
        "max_forget_steps": ("none", "3", "10", "30"),
        "clip_norm": ("none", "1"),
    },
    "salun": {
        "lr": ("1e-3", "3e-3", "1e-2", "3e-2", "1e-1"),
        "epochs": ("5", "10", "20"),
        "share": ("0.3", "0.5", "0.8"),
    },
    "jit": {
        "lr": ("1e-6", "1e-5", "3e-5", "1e-4", "3e-4", "1e-3"),
        "sigma": ("0.1", "0.5", "1"),
        "mode": ("eval", "train"),
    },
    "gkt": {**_GENERATED, "gate": ("none", "0.01", "0.5")},
    "ssd": {
        "alpha": ("1", "3", "10", "30", "100", "300"),
        "lam": ("0.1", "1", "4"),
        "against": ("all", "retained"),
    },
    "ft": {
        "lr": ("1e-4", "3e-4", "1e-3", "3e-3"),
        "epochs": ("2", "5", "10", "20"),
    },
}
"""Of each method whose unlearning has settings that decide."""


def family(method: str) -> str:
    """The learner that `method` is, by FAMILIES. Raises UncleError for one's own."""
    if method not in registry.METHODS:
        raise UncleError(f"{registry.short(method)} is your own method: it has no tuned settings")
    if method in registry.ON_DERPP:
        return "derpp"
    return {"clpu": "independent", "lwsf": "lwsf", "pall": "pall"}.get(method, "hypernetwork")


def drawn(space: Space, usual: Mapping[str, Any], trials: int, name: str) -> list[dict[str, str]]:
    """`trials` choices: {}, the settings as they are, then others drawn without repetition.

    `usual`: the settings as they are; what equals them is not drawn. `name` is the seed. Of a
    smaller space, all.
    """
    choices = [
        dict(zip(space, choice, strict=True)) for choice in itertools.product(*space.values())
    ]
    others = [one for one in choices if any(not _same(usual[k], v) for k, v in one.items())]
    return [{}, *random.Random(name).sample(others, min(trials - 1, len(others)))]


def _same(value: Any, text: str) -> bool:
    """Whether `text` says `value`."""
    if value is None or isinstance(value, bool | str):
        return str(value).lower() == text
    try:
        return float(value) == float(text)
    except ValueError:
        return False
