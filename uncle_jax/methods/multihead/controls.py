"""Controls on DER++: what the numbers of a table mean, by methods of which that is known.

A measure that `delete-head` passes does not tell forgetting from deletion: the network that learned
the task is all there. `reset` forgets everything. `never-derpp` has nothing to forget.
"""

import jax
import jax.numpy as jnp
from jax import Array

from uncle_jax.core import heads
from uncle_jax.core.loop import OnStep
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.derpp import Algorithm, on_derpp, unchanged
from uncle_jax.methods.multihead.network import Model, MultiHead, Request
from uncle_jax.methods.multihead.replay import Derpp
from uncle_jax.requests import forgotten


def deletion(net: MultiHead, settings: Derpp) -> Algorithm:
    """Zeros in the place of the task's head: it answers its first class whatever it is shown.

    Of classes, in the place of their columns the mean of the task's others (core/heads.py).
    """
    del settings

    def unlearn(model: Model, request: Request, key: Array, on_step: OnStep | None) -> Model:
        del key, on_step
        if request.classes:
            width, n = net.n_tasks * net.n_classes, int(net.valid[request.task].sum())
            parts = heads.columns(width, request.task * net.n_classes, n, request.classes)
            return Model(heads.without_classes(model.params, *parts), model.stats)
        mask = multihead.head_mask(net, model.params, request.task)
        params = jax.tree.map(lambda m, a: jnp.where(m, 0, a), mask, model.params)
        return Model(params, model.stats)

    return unlearn


def redrawing(net: MultiHead, settings: Derpp) -> Algorithm:
    """A network drawn anew, whatever is retained: nothing is left of anything."""
    del settings

    def unlearn(model: Model, request: Request, key: Array, on_step: OnStep | None) -> Model:
        del model, request, on_step
        return multihead.drawn(net, key)

    return unlearn


delete_head = on_derpp(
    "delete-head",
    deletion,
    Derpp(),
    reads="none",
    by_class=True,
    doc="A control: DER++ whose unlearning zeroes the task's head, and no other weight.",
)
reset = on_derpp(
    "reset",
    redrawing,
    Derpp(),
    reads="none",
    doc="A control: DER++ whose unlearning draws the whole network anew; its buffer stays.",
)


never_derpp = on_derpp(
    "never-derpp",
    unchanged,
    Derpp(),
    reads="none",
    doc="A control: DER++ without the requests of the tasks that the stream ends without.",
    passes=forgotten,
)
