"""Attacks and checks on what should be forgotten: each a module, an attribute once it is asked for.

uncle_jax.audit.embedding_search.search(method, state, target, settings, key)
"""

import importlib

MODULES = (
    *(
        "classes",
        "embedding_search",
        "margins",
        "relearning",
        "representation",
        "rounding",
        "store",
    ),
    *("target", "verdict", "weights"),
)


def __getattr__(name: str) -> object:
    if name in MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *MODULES})
