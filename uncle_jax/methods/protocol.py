"""What every method offers: four pure functions over its own frozen state."""

import dataclasses
import functools
import inspect
import json
import pickle
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, NamedTuple, ParamSpec, Protocol

from jax import Array

from uncle_jax.config import Config, as_dict
from uncle_jax.core.loop import Inflight, OnStep
from uncle_jax.core.network import Network
from uncle_jax.errors import UncleError
from uncle_jax.requests import Request
from uncle_jax.tasks import Data

Reads = Literal["none", "buffer", "forget", "forget+retain", "latest", "all retained data"]
"""What a method reads of the past when it unlearns. The engine hands it no more than that.

none: nothing. buffer: the replay buffer in its own state. forget: the forgotten task's training
data. forget+retain: those, and of the retained tasks its replay buffer. latest: the training data
of the retained task that was learned last. all retained data: every retained task's training data.
"""


class Past(NamedTuple):
    """The training data that an unlearn request is handed, by `Reads`."""

    forget: Data | None = None  # the forgotten task's
    retained: Mapping[int, Data] = {}  # task -> its data, in the order of learning


class Learn(Protocol):
    """learn(state, task, data) -> state."""

    def __call__(
        self,
        state: Any,
        task: int,
        data: Data,
        *,
        on_step: OnStep | None = None,
        inflight: Inflight | None = None,
    ) -> Any: ...


class Unlearn(Protocol):
    """unlearn(state, task) -> state; with a `Past` after the task if the method `reads` data."""

    def __call__(
        self, state: Any, task: int, past: Past | None = ..., /, *, on_step: OnStep | None = None
    ) -> Any: ...


class UnlearnDataFree(Protocol):
    """unlearn(state, task) -> state: it has no argument for data."""

    def __call__(self, state: Any, task: int, /, *, on_step: OnStep | None = None) -> Any: ...


class UnlearnClasses(Protocol):
    """unlearn_classes(state, task, classes) -> state, in which the task's other classes stay.

    With a `Past` after them if the method `reads` data: to forget are the classes' images alone,
    and the task is among those that are retained.
    """

    def __call__(
        self,
        state: Any,
        task: int,
        classes: Sequence[int],
        past: Past | None = None,
        /,
        *,
        on_step: OnStep | None = None,
    ) -> Any: ...


Passes = Callable[[Sequence[Request]], Collection[int]]
"""(a stream's requests) -> tasks whose requests leave the state as it is."""


class TaskNetwork(NamedTuple):
    """One task's network: module.apply({"params": params, "batch_stats": stats}, x, train=False).

    `x` is normalised (core/inputs.normalise) and of the network's input shape. A network with a
    head per task answers for all of them: this task's outputs are those from task * Y on.
    """

    params: Any  # theta, generated or trained
    stats: Any  # its norm statistics; {} if it has none


class MainNetwork(NamedTuple):
    """What applies a `TaskNetwork`."""

    module: Any  # flax.linen.Module
    shape: tuple[int, int, int]  # [H, W, D] of its input


class Origin(NamedTuple):
    """What made a `Method`, so that it can be made again elsewhere."""

    name: str  # in the registry, or of one's own as the registry finds it
    spec: Any
    n_tasks: int
    config: Any
    settings: Any
    main_net: Any
    fields: tuple[Any, ...]  # the Method's, as made: one that was changed is another


class Method(NamedTuple):
    """A continual learner that can unlearn. States go in and come out; none is changed in place.

    A state is a frozen pytree of arrays with at least `status` [T] (core/status.py).
    """

    name: str
    init: Callable[[Array], Any]  # (key) -> state
    learn: Learn  # (state, task, data) -> state
    unlearn: Unlearn | UnlearnDataFree  # (state, task[, past]) -> state
    logits: Callable[[Any, int, Any], Array]  # (state, task, images [B, H, W, D]) -> [B, Y]
    reads: Reads = "none"  # when it unlearns
    settings: Any = None  # a frozen dataclass of what is its own; the rest is Config's
    # (unlearnings so far) -> optimiser steps of the next, where they do not depend on data
    iterations: Callable[[int], int] | None = None
    network: Callable[[Any, int], TaskNetwork] | None = None  # (state, task) -> ready to apply
    main: MainNetwork | None = None  # what applies it
    # learns on what the state holds, as anyone may who has it; None: `learn` does, not anew
    onward: Learn | None = None
    generator: Network | None = None  # what makes networks of embeddings, if that is how they come
    # (a whole state, some checkpoint's arrays by path, task) -> every state that the arrays, with
    # the whole state's where they lack some, could answer for the task with; None: those in place
    partial: Callable[[Any, Mapping[str, Any], int], Sequence[Any]] | None = None
    passes: Passes | None = None  # of a control that never learns some tasks; None: it answers all
    # None: the task is unlearned, and learned again from its other classes
    unlearn_classes: UnlearnClasses | None = None
    origin: Origin | None = None  # what made it

    def __reduce__(self) -> Any:
        """Pickled by what made it: functions within functions cannot be, and jitted ones neither.

        The copy is made by the registry, and compiles nothing that its process has compiled.
        """
        if self.origin is None:
            return Method, tuple(self)
        *made, fields = self.origin
        if any(now is not then for now, then in zip(self, fields, strict=False)):
            raise pickle.PicklingError(f"{self.name} was changed by _replace since it was made")
        return _again, tuple(made)


def _again(name: str, *made: Any) -> Method:
    from uncle_jax.methods import registry

    return registry.build(name, *made)


P = ParamSpec("P")


def remembering(factory: Callable[P, Method]) -> Callable[P, Method]:
    """`factory` of methods that know what made them: they can be pickled, and so do their states.

    A state is a dataclass with `made_by`, a string that is no leaf.
    """
    signature = inspect.signature(factory)

    @functools.wraps(factory)
    def remembered(*args: P.args, **kwargs: P.kwargs) -> Method:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        method = _class_by_class(factory(*args, **kwargs), given.arguments["config"])
        made: list[Any] = [given.arguments.get(name) for name in Origin._fields[1:-1]]
        init, by = method.init, json.dumps(_told(method.name, *made))

        def marked(key: Array) -> Any:
            return dataclasses.replace(init(key), made_by=by)

        method = method._replace(init=marked)
        return method._replace(origin=Origin(method.name, *made, fields=tuple(method)[:-1]))

    return remembered


def _class_by_class(method: Method, config: Config | None) -> Method:
    """`method` as `config.class_unlearning` has it. Raises UncleError if it has no own way."""
    if (config or Config()).class_unlearning == "relearn":
        return method._replace(unlearn_classes=None)
    if method.unlearn_classes is None:
        raise UncleError(
            f"{method.name} has no way of its own to unlearn a class "
            "(allowed: class_unlearning=relearn)"
        )
    return method


def _told(
    name: str, spec: Any, n_tasks: int, config: Any, settings: Any, main_net: Any
) -> dict[str, Any]:
    """What a state says of its method (JSON), so that `restore` can refuse another's.

    Of a main network of one's own its class: what it holds may have no name.
    """
    told = identity(name, spec, n_tasks, config or Config(), settings)
    return told | {"main_net": None if main_net is None else type(main_net).__qualname__}


def identity(
    name: str, spec: Any, n_tasks: int, config: Config, settings: Any = None
) -> dict[str, Any]:
    """What decides a method called `name`, its main network apart (JSON)."""
    return {
        "method": name,
        "n_tasks": n_tasks,
        "spec": dataclasses.asdict(spec),
        "config": as_dict(config),
        **({} if settings is None else {"settings": as_dict(settings)}),
    }
