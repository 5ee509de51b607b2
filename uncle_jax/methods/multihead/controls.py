"""Controls on DER++: what the numbers of a table mean, by methods of which that is known.

A measure that `delete-head` passes does not tell forgetting from deletion: the network that learned
the task is all there. `reset` forgets everything. `never-derpp` has nothing to forget.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

from uncle_jax.config import Config
from uncle_jax.core.loop import OnStep
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.derpp import Algorithm, Derpp, derpp, on_derpp
from uncle_jax.methods.multihead.network import Model, MultiHead, Request
from uncle_jax.methods.protocol import Method, remembering
from uncle_jax.requests import forgotten
from uncle_jax.tasks import InputSpec


@dataclasses.dataclass(frozen=True)
class DeleteHead(Derpp):
    """The settings of `delete-head`: DER++'s."""


@dataclasses.dataclass(frozen=True)
class Reset(Derpp):
    """The settings of `reset`: DER++'s."""


@dataclasses.dataclass(frozen=True)
class NeverDerpp(Derpp):
    """The settings of `never-derpp`: DER++'s."""


def deletion(net: MultiHead, settings: DeleteHead) -> Algorithm:
    """Zeros in the place of the task's head: it answers its first class whatever it is shown."""
    del settings

    def unlearn(model: Model, request: Request, key: Array, on_step: OnStep | None) -> Model:
        del key, on_step
        mask = multihead.head_mask(net, model.params, request.task)
        params = jax.tree.map(lambda m, a: jnp.where(m, 0, a), mask, model.params)
        return Model(params, model.stats)

    return unlearn


def redrawing(net: MultiHead, settings: Reset) -> Algorithm:
    """A network drawn anew, whatever is retained: nothing is left of anything."""
    del settings

    def unlearn(model: Model, request: Request, key: Array, on_step: OnStep | None) -> Model:
        del model, request, on_step
        return multihead.drawn(net, key)

    return unlearn


delete_head = on_derpp(
    "delete-head",
    deletion,
    DeleteHead(),
    reads="none",
    doc="A control: DER++ whose unlearning zeroes the task's head, and no other weight.",
)
reset = on_derpp(
    "reset",
    redrawing,
    Reset(),
    reads="none",
    doc="A control: DER++ whose unlearning draws the whole network anew; its buffer stays.",
)


@remembering
def never_derpp(
    spec: InputSpec,
    n_tasks: int,
    config: Config | None = None,
    main_net: nn.Module | None = None,
    settings: NeverDerpp = NeverDerpp(),
) -> Method:
    """DER++ in a stream without the requests of the tasks that it ends without."""
    fields: dict[str, Any] = {f.name: getattr(settings, f.name) for f in dataclasses.fields(Derpp)}
    method = derpp(spec, n_tasks, config, main_net, Derpp(**fields))
    return method._replace(name="never-derpp", settings=settings, passes=forgotten)
