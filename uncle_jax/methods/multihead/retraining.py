"""FT and RT: training on all retained tasks' full data (UnCLe paper, Appendix F.2).

Upper ends of what may be kept: FT goes on from the model that learned the task, RT starts anew.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from uncle_jax.config import Config
from uncle_jax.core.loop import OnStep, run_epochs
from uncle_jax.core.losses import cross_entropy
from uncle_jax.errors import UncleError
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.derpp import Algorithm, Derpp, on_derpp
from uncle_jax.methods.multihead.network import Model, MultiHead, Request, Rows
from uncle_jax.methods.protocol import Method
from uncle_jax.tasks import InputSpec


@dataclass(frozen=True)
class Ft(Derpp):
    """Fine-tuning on the retained tasks; the paper names no constants."""

    epochs: int = 5  # inferred from the fine-tuning in SSD's and JiT's code
    lr: float = 1e-3  # of Adam, constant; inferred (SSD's and JiT's code: SGD at 0.02)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs < 1:
            raise UncleError(f"epochs must be at least 1, not {self.epochs}")
        if not 0 < self.lr < math.inf:
            raise UncleError(f"lr must be positive, not {self.lr}")


@dataclass(frozen=True)
class Rt(Derpp):
    """Retraining; epochs, learning rate and schedule are the benchmark's (Config)."""


class Training(NamedTuple):
    """What training carries; donated from step to step."""

    params: Any
    stats: Any
    optimiser: Any


def ft(
    spec: InputSpec, n_tasks: int, config: Config | None = None, main_net: nn.Module | None = None,
    settings: Ft = Ft(),
) -> Method:  # fmt: skip
    """FT: fine-tunes on all retained tasks jointly, with no term that forgets (Appendix F.2)."""
    return on_derpp(
        "ft", spec, n_tasks, config, main_net, settings, "all retained data", ft_algorithm
    )


def rt(
    spec: InputSpec, n_tasks: int, config: Config | None = None, main_net: nn.Module | None = None,
    settings: Rt = Rt(),
) -> Method:  # fmt: skip
    """RT: a new network trained on all retained tasks jointly (Appendix F.2); DER++ goes on."""
    return on_derpp(
        "rt", spec, n_tasks, config, main_net, settings, "all retained data", rt_algorithm,
        restart=True,
    )  # fmt: skip


def ft_algorithm(net: MultiHead, settings: Ft) -> Algorithm:
    """Fine-tuning of the model; unchanged if nothing is retained."""
    config = dataclasses.replace(
        net.config, epochs=settings.epochs, lr=settings.lr, schedule="constant"
    )
    step = make_step(net)

    def unlearn(model: Model, request: Request, key: Array, on_step: OnStep | None) -> Model:
        if request.retain is None:
            return model
        return train(config, step, model, request.retain, key, on_step)

    return unlearn


def rt_algorithm(net: MultiHead, settings: Rt) -> Algorithm:
    """Training of a fresh model, which stays as drawn if nothing is retained."""
    del settings
    step = make_step(net)
    init = jax.jit(lambda key: multihead.init(net, key))

    def unlearn(model: Model, request: Request, key: Array, on_step: OnStep | None) -> Model:
        del model
        k_init, k_order = jax.random.split(key)
        fresh = init(k_init)
        if request.retain is None:
            return fresh
        return train(net.config, step, fresh, request.retain, k_order, on_step)

    return unlearn


def train(
    config: Config, step: Any, model: Model, rows: Rows, key: Array, on_step: OnStep | None
) -> Model:
    """`model` after `config.epochs` epochs over `rows`, all tasks mixed; `step` by make_step."""
    params, stats = jax.tree.map(jnp.copy, model)  # the steps donate their carry
    carry = Training(params, stats, optax.scale_by_adam().init(params))
    batch_of = multihead.rows_of(rows)

    def one(carry: Any, index: int, batch: np.ndarray, lr: np.float32) -> tuple[Any, Array]:
        del index
        return step(carry, batch_of(batch), lr)

    carry = run_epochs(config, key, len(rows.labels), carry, one, on_step)
    return Model(carry.params, carry.stats)


def make_step(net: MultiHead) -> Any:
    """The jitted step of Adam on the batch's mean CE: (Training, rows, lr) -> (Training, loss)."""
    adam = optax.scale_by_adam()

    def step(carry: Training, rows: Rows, lr: Array) -> tuple[Training, Array]:
        def loss(params: Any) -> tuple[Array, Any]:
            logits, stats = multihead.forward(
                net, params, carry.stats, rows.images, rows.tasks, train=True
            )
            return jnp.mean(cross_entropy(logits, rows.labels)), stats

        (total, stats), grad = jax.value_and_grad(loss, has_aux=True)(carry.params)
        update, optimiser = adam.update(grad, carry.optimiser)
        params = jax.tree.map(lambda p, u: p - lr * u, carry.params, update)
        return Training(params, stats, optimiser), total

    return jax.jit(step, donate_argnums=0)
