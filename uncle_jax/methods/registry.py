"""Methods by name: this package's, and anyone's own. Importing this module imports no jax.

Own methods: "path/to/file.py:function" or "package.module:function", or a name that an installed
package gives its factory as an entry point of the group "uncle_jax.methods".
"""

import dataclasses
import importlib
import inspect
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any

from uncle_jax import own
from uncle_jax.config import Config, filled, read_into
from uncle_jax.errors import UncleError, allowed

Factory = Callable[..., Any]
"""(spec, n_tasks, config, main_net=None[, settings=Settings()]) -> Method."""

GROUP = "uncle_jax.methods"
METHODS = {
    "uncle": "uncle:uncle",
    "badteacher": "multihead.badteacher:badteacher",
    "scrub": "multihead.scrub:scrub",
    "salun": "multihead.salun:salun",
    "jit": "multihead.just_in_time:jit_unlearning",
    "gkt": "multihead.gkt:gkt",
    "ssd": "multihead.ssd:ssd",
    "uniclun": "multihead.badteacher:uniclun",
    "derpp": "multihead.derpp:derpp",
    "lwsf": "multihead.lwsf:lwsf",
    "ft": "multihead.retraining:ft",
    "rt": "multihead.retraining:rt",
    "clpu": "clpu:clpu",
    "pall": "multihead.pall:pall",
    "hnet": "hypernetwork.learner:hnet",
    "jit-hnet": "hypernetwork.just_in_time:jit_hnet",
    "gkt-hnet": "hypernetwork.gkt:gkt_hnet",
    "rt-hnet": "hypernetwork.rt:rt_hnet",
    "refit": "hypernetwork.refit:refit",
    "only-learning": "uncle:only_learning",
    "never": "hypernetwork.controls:never",
    "never-derpp": "multihead.controls:never_derpp",
    "delete-head": "multihead.controls:delete_head",
    "reset": "multihead.controls:reset",
}

HYPERNETWORK = tuple(
    name for name, home in METHODS.items() if home.startswith(("uncle:", "hypernetwork."))
)
"""Those whose networks a hypernetwork generates."""
ON_DERPP = tuple(name for name in METHODS if name not in (*HYPERNETWORK, "clpu", "lwsf", "pall"))
"""Those whose networks DER++ learns."""

READS = {
    "none": "nothing",
    "buffer": "its own replay buffer",
    "forget": "the forgotten task's training data",
    "forget+retain": "the forgotten task's training data, and its own replay buffer",
    "latest": "the training data of the retained task learned last",
    "all retained data": "all retained tasks' training data",
}
"""`protocol.Reads` in words."""


def check(name: str) -> None:
    """Raise UncleError unless `name` is a method of this package or has the form of one's own."""
    if name in METHODS or name in entry_points(group=GROUP).names:
        return
    if ":" not in name:
        raise allowed("method", name, (*METHODS, "FILE.py:FUNCTION"))
    own.check(name, "method")


def short(name: str) -> str:
    """`name` as tables, folders and `--set NAME.KEY=VALUE` have it: of one's own, the function."""
    return own.short(name)


def changed(name: str, settings: Any, changes: Mapping[str, str]) -> Any:
    """A method's own `settings` with `changes` (text values by field). Raises UncleError."""
    if settings is None:
        raise UncleError(f"{short(name)} has no settings of its own, so no {min(changes)}")
    return read_into(settings, changes, f"setting of {short(name)}")


def own_key(method: str, key: str) -> str:
    """A method's own setting as labels and folders have it: METHOD.KEY where all have a KEY."""
    shared = key in {field.name for field in dataclasses.fields(Config)}
    return f"{short(method)}.{key}" if shared else key


def find(name: str) -> Factory:
    """The factory called `name`. Raises UncleError."""
    check(name)
    if name in METHODS:
        module, function = METHODS[name].split(":")
        return getattr(importlib.import_module(f"uncle_jax.methods.{module}"), function)
    for entry in entry_points(group=GROUP):
        if entry.name == name:
            return entry.load()
    return own.load(name, "method")


def source(name: str) -> dict[str, Any] | None:
    """The code of a method of one's own, by content; None for this package's. Raises UncleError."""
    return None if name in METHODS else own.source(find(name))


def settings_of(name: str, factory: Factory, changes: Mapping[str, str], preset: Any = None) -> Any:
    """`factory`'s settings with `changes` (text values by field); None if it has none.

    `preset`: UnCLe's settings for a benchmark, of which a method takes those that it shares.
    Raises UncleError for changes that it does not have.
    """
    parameter = inspect.signature(factory).parameters.get("settings")
    if parameter is None or not dataclasses.is_dataclass(parameter.default):
        return changed(name, None, changes) if changes else None
    usual = filled(parameter.default, preset) if preset is not None else parameter.default
    return changed(name, usual, changes)


def build(
    name: str, spec: Any, n_tasks: int, config: Any, settings: Any = None, main_net: Any = None
) -> Any:
    """The `Method` called `name`. Raises UncleError."""
    from uncle_jax.methods.protocol import Method, Origin

    more = {} if settings is None else {"settings": settings}
    method = find(name)(spec, n_tasks, config, main_net, **more)
    if name in METHODS or not isinstance(method, Method):
        return method
    origin = Origin(name, spec, n_tasks, config, settings, main_net, fields=tuple(method)[:-1])
    return method._replace(origin=origin)  # one's own is made again by its name
