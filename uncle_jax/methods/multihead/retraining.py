"""FT and RT: training on all retained tasks' full data (UnCLe paper, Appendix F.2).

Upper ends of what may be kept: FT goes on from the model that learned the task, RT starts anew.
"""

import dataclasses
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from uncle_jax.config import Config, Count, Positive
from uncle_jax.core.inputs import resident, rows_at
from uncle_jax.core.loop import Batch, OnStep, Progress, TrainState, descend, run_epochs
from uncle_jax.core.losses import cross_entropy
from uncle_jax.core.pieces import piece
from uncle_jax.core.scanned import Step
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.derpp import Algorithm, on_derpp
from uncle_jax.methods.multihead.network import Model, MultiHead, Request, Rows
from uncle_jax.methods.multihead.replay import Derpp


@dataclass(frozen=True)
class Ft(Derpp):
    """Fine-tuning on the retained tasks; the paper names no constants."""

    epochs: Count = 5  # inferred from the fine-tuning in SSD's and JiT's code
    lr: Positive = 1e-3  # of Adam, constant; inferred (SSD's and JiT's code: SGD at 0.02)


@dataclass(frozen=True)
class Rt(Derpp):
    """Retraining; epochs, learning rate and schedule are the benchmark's (Config)."""


def ft_algorithm(net: MultiHead, settings: Ft) -> Algorithm:
    """Fine-tuning of the model; unchanged if nothing is retained."""
    config = dataclasses.replace(
        net.config, epochs=settings.epochs, lr=settings.lr, schedule="constant"
    )

    def unlearn(model: Model, request: Request, key: Array, on_step: OnStep | None) -> Model:
        if request.retain is None:
            return model
        return train(net, config, model, request.retain, key, on_step)

    return unlearn


def rt_algorithm(net: MultiHead, settings: Rt) -> Algorithm:
    """Training of a fresh model, which stays as drawn if nothing is retained."""
    del settings

    def unlearn(model: Model, request: Request, key: Array, on_step: OnStep | None) -> Model:
        del model
        k_init, k_order = jax.random.split(key)
        fresh = multihead.drawn(net, k_init)
        if request.retain is None:
            return fresh
        return train(net, net.config, fresh, request.retain, k_order, on_step)

    return unlearn


def train(
    net: MultiHead, config: Config, model: Model, rows: Rows, key: Array, on_step: OnStep | None
) -> Model:
    """`model` after `config.epochs` epochs over `rows`, all tasks mixed."""
    params, stats = jax.tree.map(jnp.copy, model)  # the steps donate their carry
    carry = TrainState(params, stats, optax.scale_by_adam().init(params))
    one = Step(_step, net, resident(rows))
    carry = run_epochs(config, key, len(rows.labels), carry, one, Progress(on_step))
    return Model(carry.params, carry.stats)


def _step(net: MultiHead, carry: Any, rows: Rows, x: Batch) -> tuple[Any, Array]:
    return step(net, carry, rows_at(rows, x.images), x.lr)


@piece(static_argnums=0, donate_argnums=1)
def step(net: MultiHead, carry: TrainState, rows: Rows, lr: Array) -> tuple[TrainState, Array]:
    """A step of Adam on the batch's mean cross-entropy: (carry after, loss)."""

    def loss(params: Any) -> tuple[Array, Any]:
        logits, stats = multihead.forward(
            net, params, carry.stats, rows.images, rows.tasks, train=True
        )
        return jnp.mean(cross_entropy(logits, rows.labels)), stats

    (total, stats), grad = jax.value_and_grad(loss, has_aux=True)(carry.params)
    update, optimiser = optax.scale_by_adam().update(grad, carry.optimiser)
    return TrainState(descend(carry.params, update, lr), stats, optimiser), total


ft = on_derpp(
    "ft",
    ft_algorithm,
    Ft(),
    reads="all retained data",
    doc="FT: fine-tunes on all retained tasks jointly, with no term that forgets (Appendix F.2).",
)
rt = on_derpp(
    "rt",
    rt_algorithm,
    Rt(),
    reads="all retained data",
    doc="RT: a new network trained on all retained tasks jointly (Appendix F.2); DER++ goes on.",
    restart=True,
)
