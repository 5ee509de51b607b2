"""DER++, and what unlearns on it.

An `Algorithm` is what a baseline adds: it sees a model and an unlearn request, and returns a model.
Everything else is the same for all: learning (replay.py), and which data it may read, here.
"""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import flax.linen as nn
import jax
import numpy as np
from jax import Array

from uncle_jax.config import Config, part
from uncle_jax.core.loop import Inflight, OnStep, Progress
from uncle_jax.core.status import (
    checked,
    checked_classes,
    describe,
    in_range,
    unlearned,
    without_classes,
)
from uncle_jax.errors import UncleError
from uncle_jax.methods.multihead import buffer as buffers
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead import replay
from uncle_jax.methods.multihead.buffer import Buffer
from uncle_jax.methods.multihead.network import Model, MultiHead, Request, Rows
from uncle_jax.methods.multihead.replay import Derpp, ReplayState
from uncle_jax.methods.protocol import (
    MainNetwork,
    Method,
    Passes,
    Past,
    Reads,
    TaskNetwork,
    remembering,
)
from uncle_jax.tasks import Data, InputSpec

Algorithm = Callable[[Model, Request, Array, OnStep | None], Model]
"""(model before, request, key, on_step) -> model after."""

Chosen = TypeVar("Chosen", bound=Derpp, contravariant=True)


class Baseline(Protocol[Chosen]):
    """What `on_derpp` declares: builds the `Method`, with the settings it was declared with."""

    def __call__(
        self,
        spec: InputSpec,
        n_tasks: int,
        config: Config | None = None,
        main_net: nn.Module | None = None,
        settings: Chosen = ...,
    ) -> Method: ...


def on_derpp(
    name: str,
    make: Callable[[MultiHead, Chosen], Algorithm],
    settings: Chosen,
    reads: Reads,
    doc: str,
    restart: bool = False,
    passes: Passes | None = None,
    by_class: bool = False,
) -> Baseline[Chosen]:
    """A baseline: DER++ that answers an unlearn request with the algorithm `make(net, settings)`.

    `settings` are the default ones. `reads` is what the algorithm reads with `forget_source=full`:
    its request holds no other rows. With `restart` the buffer's logits are those of the new model
    after an unlearning. `passes`: the Method's. `by_class`: the algorithm forgets rows, whatever
    they are, and so can unlearn classes. `doc` is the factory's docstring.
    """
    default = settings

    def build(
        spec: InputSpec,
        n_tasks: int,
        config: Config | None = None,
        main_net: nn.Module | None = None,
        settings: Chosen = default,
    ) -> Method:
        net = multihead.multihead(spec, n_tasks, config or Config(), main_net)
        method = _method(name, net, settings, reads, make(net, settings), restart)
        if not by_class:
            method = method._replace(unlearn_classes=None)
        return method._replace(passes=passes)

    build.__name__ = build.__qualname__ = name
    build.__doc__ = doc
    return remembering(build)


class Source(NamedTuple):
    """Where a baseline's unlearn requests have their rows from, and which."""

    name: str  # the baseline's
    net: MultiHead
    needs: Reads
    buffered: bool  # whether the forgotten task's come from the buffer

    def request(
        self, state: ReplayState, task: int, past: Past | None, classes: tuple[int, ...] = ()
    ) -> Request:
        """What the algorithm is handed: to forget is `task`, or only `classes` of it.

        Raises UncleError if `past` lacks what it needs.
        """
        retained = tuple(t for t in describe(state)["learned"] if classes or t != task)
        forget = retain = None
        if self.needs in ("forget", "forget+retain"):
            forget = self._forgotten(state, task, past, classes)
        if self.needs == "forget+retain" and retained:
            retain = buffers.rows(buffers.without(state.buffer, task, classes), retained)
        if self.needs == "all retained data" and retained:
            if past is None or set(past.retained) != set(retained):
                raise UncleError(
                    f"{self.name} reads all retained tasks' data to unlearn task {task}"
                )
            parts = (multihead.fitted(self.net, t, data) for t, data in past.retained.items())
            retain = multihead.join(*parts)
        return Request(task, retained, forget, retain, classes)

    def _forgotten(
        self, state: ReplayState, task: int, past: Past | None, classes: tuple[int, ...]
    ) -> Rows:
        if self.buffered:
            rows = buffers.rows(state.buffer, (task,))
            if not classes:
                return rows
            of = np.flatnonzero(np.isin(np.asarray(rows.labels), classes))
            return Rows(*(array[of] for array in rows))
        if past is None or past.forget is None:
            raise UncleError(f"{self.name} reads the forgotten task's data to unlearn task {task}")
        return multihead.fitted(self.net, task, past.forget)


def _method(
    name: str, net: MultiHead, settings: Derpp, needs: Reads, algorithm: Algorithm, restart: bool
) -> Method:
    # DER++'s own part: all baselines that learn alike share the compiled steps.
    learning = part(Derpp, settings)
    buffered = needs in ("forget", "forget+retain") and settings.forget_source == "buffer"
    reads: Reads = "buffer" if buffered else needs
    source = Source(name, net, needs, buffered)

    def learn(
        state: ReplayState,
        task: int,
        data: Data,
        *,
        on_step: OnStep | None = None,
        inflight: Inflight | None = None,
    ) -> ReplayState:
        task = checked(state, task, learned=False)
        rows = multihead.fitted(net, task, data)
        return replay.learn(net, learning, state, task, rows, Progress(on_step, inflight))

    def unlearn(
        state: ReplayState, task: int, past: Past | None = None, /, *, on_step: OnStep | None = None
    ) -> ReplayState:
        task = checked(state, task, learned=True)
        request = source.request(state, task, past)
        key, k_unlearn = jax.random.split(state.key)
        params, stats = algorithm(Model(state.params, state.stats), request, k_unlearn, on_step)
        buffer = buffers.remove(state.buffer, task)
        if restart:
            buffer = _refreshed(net, Model(params, stats), buffer, request.retained)
        return unlearned(state, task, key, params=params, stats=stats, buffer=buffer)

    def unlearn_classes(
        state: ReplayState,
        task: int,
        classes: Sequence[int],
        past: Past | None = None,
        /,
        *,
        on_step: OnStep | None = None,
    ) -> ReplayState:
        task = checked(state, task, learned=True)
        classes = checked_classes(classes, net.spec.task(task).n_classes)
        request = source.request(state, task, past, classes)
        key, k_unlearn = jax.random.split(state.key)
        params, stats = algorithm(Model(state.params, state.stats), request, k_unlearn, on_step)
        buffer = buffers.without(state.buffer, task, classes)
        return without_classes(state, key, params=params, stats=stats, buffer=buffer)

    def network(state: ReplayState, task: int) -> TaskNetwork:
        in_range(state, task)
        return TaskNetwork(state.params, state.stats)

    def logits(state: ReplayState, task: int, images: Any) -> Array:
        """Logits [B, Y] of `task`'s head; minus infinity for classes that it does not have."""
        task = in_range(state, task)
        return multihead.answer(net, Model(state.params, state.stats), task, images)

    init = functools.partial(replay.init, net, settings.buffer_per_task)
    main = MainNetwork(net.module, net.shape)
    return Method(
        name,
        init,
        learn,
        unlearn,
        logits,
        reads,
        settings,
        network=network,
        main=main,
        unlearn_classes=unlearn_classes,
    )


def _refreshed(net: MultiHead, model: Model, buffer: Buffer, retained: tuple[int, ...]) -> Buffer:
    """`buffer` with the logits of `model`."""
    for task in retained:
        logits = multihead.task_logits(net, model, task, buffer.images[task])
        buffer = dataclasses.replace(buffer, logits=buffer.logits.at[task].set(logits))
    return buffer


def unchanged(net: MultiHead, settings: Derpp) -> Algorithm:
    """No algorithm: the model stays as it is."""
    del net, settings
    return lambda model, request, key, on_step: model


derpp = on_derpp(
    "derpp",
    unchanged,
    Derpp(),
    reads="none",
    doc="DER++ alone: unlearning only removes the task from the buffer.",
)
