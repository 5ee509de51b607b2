"""SSD (Foster et al. 2023), selective synaptic dampening, on DER++: nothing is optimised.

Weights that matter far more to the forgotten task than to all data are made smaller.
"""

import functools
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from uncle_jax.config import Count, NonNegative
from uncle_jax.core.loop import OnStep, epoch_order
from uncle_jax.core.losses import cross_entropy
from uncle_jax.core.pieces import piece
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.derpp import Algorithm, on_derpp
from uncle_jax.methods.multihead.network import Model, MultiHead, Request, Rows
from uncle_jax.methods.multihead.replay import Derpp


@dataclass(frozen=True)
class Ssd(Derpp):
    """SSD's settings: those of its authors for a ResNet on CIFAR."""

    alpha: NonNegative = 10.0  # a weight is dampened if I_f > alpha * I (authors' code)
    lam: NonNegative = 1.0  # by lam * I / I_f, at most 1 (authors' code)
    batch: Count = 64  # authors' code; importances depend on it, as batch gradients are squared
    against: Literal["all", "retained"] = "retained"  # whose I: the retained data's, or those and
    # the forgotten (authors' code, whose D_f is a small share of D; inferred: see `algorithm`)


def batch_loss(logits: Array, labels: Array, weights: Array) -> Array:
    """The mean cross-entropy of those samples of a batch whose weight [B] is 1, not 0."""
    return jnp.sum(weights * cross_entropy(logits, labels)) / jnp.sum(weights)


def dampen(theta: Any, importance: Any, forget: Any, alpha: float, lam: float) -> Any:
    """theta * min(lam * I / I_f, 1) where I_f > alpha * I, elsewhere theta.

    Trees alike: parameters, their importance I to all data, theirs I_f to the forgotten.
    """

    def one(p: Array, i: Array, i_f: Array) -> Array:
        chosen = i_f > alpha * i
        factor = jnp.minimum(lam * i / jnp.where(chosen, i_f, 1.0), 1.0)
        return jnp.where(chosen, p * factor, p)

    return jax.tree.map(one, theta, importance, forget)


_dampened = piece(static_argnums=(3, 4))(dampen)


@piece(static_argnums=0, donate_argnums=1)
def add_squares(
    net: MultiHead, total: Any, model: Model, rows: Rows, weights: Array
) -> tuple[Any, Array]:
    """(`total` plus the squares of a batch's gradient in eval mode, the batch's loss)."""

    def loss(params: Any) -> Array:
        logits, _ = multihead.forward(
            net, params, model.stats, rows.images, rows.tasks, train=False
        )
        return batch_loss(logits, rows.labels, weights)

    value, grad = jax.value_and_grad(loss)(model.params)
    return jax.tree.map(lambda s, g: s + g**2, total, grad), value


def _share(parts: int, total: Array) -> Array:
    return total / parts


def algorithm(net: MultiHead, settings: Ssd) -> Algorithm:
    """What answers an unlearn request.

    In the original the forgotten data are a small part of all. Where they are a part q of them, a
    weight that only they use has I near q^2 I_f (q^2 <= 1/alpha is needed to choose it): with
    forget_source=full and a small buffer, `against=all` chooses next to nothing. If nothing is
    retained the model is drawn anew: dampening all of it to 0 would leave one that never learns.
    """

    def unlearn(model: Model, request: Request, key: Array, on_step: OnStep | None) -> Model:
        assert request.forget is not None
        if request.retain is None:
            return multihead.drawn(net, key)
        parts = [request.forget, request.retain]
        if settings.against == "all":
            parts[1] = multihead.join(request.retain, request.forget)
        todo = []
        for part, k_order in zip(parts, jax.random.split(key), strict=True):
            n = len(part.labels)
            todo.append((epoch_order(k_order, 0, n, settings.batch), n))
        steps = sum(len(order) for order, _ in todo)
        importances, done = [], 0
        for part, (order, n) in zip(parts, todo, strict=True):
            total = jax.tree.map(jnp.zeros_like, model.params)
            get = multihead.rows_of(part)
            for index, batch in enumerate(order):
                first = index * settings.batch
                weights = (first + np.arange(settings.batch) < n).astype(np.float32)
                total, loss = add_squares(net, total, model, get(batch), weights)
                done += 1
                if on_step:
                    on_step(done, steps, loss)
            importances.append(jax.tree.map(functools.partial(_share, len(order)), total))
        of_forgotten, of_all = importances
        params = _dampened(model.params, of_all, of_forgotten, settings.alpha, settings.lam)
        return Model(params, model.stats)

    return unlearn


ssd = on_derpp(
    "ssd",
    algorithm,
    Ssd(),
    reads="forget+retain",
    by_class=True,
    doc="SSD on DER++ (github.com/if-loops/selective-synaptic-dampening, ssd.py).",
)
