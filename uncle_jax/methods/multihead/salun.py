"""SalUn (Fan et al. 2024) on DER++: random labels for the forgotten task, on salient weights only.

Weights are salient whose loss gradient on the forgotten data is largest; the others stay as they
are, bit for bit. Other tasks' heads never are: the forgotten data gives them no gradient.
"""

from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from uncle_jax.config import Count, NonNegative, Share
from uncle_jax.core.loop import OnStep, TrainState, epoch_order, steps_per_epoch
from uncle_jax.core.losses import cross_entropy
from uncle_jax.core.pieces import piece
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.derpp import Algorithm, on_derpp
from uncle_jax.methods.multihead.network import Model, MultiHead, Request, Rows
from uncle_jax.methods.multihead.replay import Derpp

Order = Literal["mixed", "apart"]


@dataclass(frozen=True)
class Salun(Derpp):
    """SalUn's settings: the defaults of its authors' code."""

    share: Share = 0.5  # of the weights that may change (authors' code: with_0.5)
    epochs: Count = 10  # authors' code
    batch_size: Count = 256  # of the mask's gradients too (authors' code)
    lr: NonNegative = 0.01  # SGD's, constant: its decays lie beyond the epochs (authors' code)
    momentum: NonNegative = 0.9  # authors' code
    weight_decay: NonNegative = 5e-4  # added to the gradient, as torch's (authors' code)
    # mixed: one shuffle of both (the authors' CIFAR-100 and TinyImageNet); apart: in each epoch
    # first all forgotten samples, then all retained ones (their CIFAR-10 and SVHN)
    order: Order = "mixed"


def top_mask(scores: Any, share: float, among: Any = None) -> Any:
    """True at the floor(share * n) largest scores of a whole tree; of ties the earlier.

    n counts the values where `among` (a tree of booleans) is True, by default all of them.
    """
    leaves, shape = jax.tree.flatten(scores)
    leaves = [np.asarray(leaf) for leaf in leaves]
    flat = np.concatenate([leaf.ravel() for leaf in leaves])
    if among is None:
        candidates = np.arange(len(flat))
    else:
        candidates = np.flatnonzero(np.concatenate([np.ravel(a) for a in jax.tree.leaves(among)]))
    found = flat[candidates]
    chosen = np.zeros(len(flat), bool)
    count = int(share * len(found))
    if count:
        least = np.partition(found, len(found) - count)[len(found) - count]
        chosen[candidates[found > least]] = True
        ties = candidates[found == least]
        chosen[ties[: count - int(chosen.sum())]] = True
    ends = np.cumsum([leaf.size for leaf in leaves])
    parts = np.split(chosen, ends[:-1])
    return shape.unflatten([p.reshape(a.shape) for p, a in zip(parts, leaves, strict=True)])


def candidates(net: MultiHead, params: Any, task: int) -> Any:
    """A tree like `params`: True for the backbone and `task`'s head, False for other heads."""
    others = [multihead.head_mask(net, params, t) for t in range(net.n_tasks) if t != task]

    def in_none(leaf: Any, *masks: np.ndarray) -> np.ndarray:
        return ~np.any(masks, axis=0) if masks else np.ones(leaf.shape, bool)

    return jax.tree.map(in_none, params, *others)


def random_labels(rng: np.random.Generator, valid: np.ndarray, n: int) -> np.ndarray:
    """[n] classes, uniform over those in `valid` [Y]; a sample's own may be among them."""
    return rng.choice(np.flatnonzero(valid), n).astype(np.int32)


def epoch_batches(
    key: Array, epoch: int, n_forget: int, n_retain: int, batch_size: int, order: Order
) -> np.ndarray:
    """[S, B] which samples each batch of an epoch holds: n_forget come first, then n_retain."""
    if order == "mixed" or not n_retain:
        return epoch_order(key, epoch, n_forget + n_retain, batch_size)
    first, second = jax.random.split(key)
    forget = epoch_order(first, epoch, n_forget, batch_size)
    retain = epoch_order(second, epoch, n_retain, batch_size)
    return np.concatenate([forget, n_forget + retain])


def masked_update(
    optimiser: optax.GradientTransformation,
    state: Any,
    grad: Any,
    params: Any,
    mask: Any,
    lr: float,
) -> tuple[Any, Any]:
    """(params, state) after a step on the weights in `mask`; the others keep every bit.

    Weight decay and momentum would move them too, so neither sees them.
    """

    def only(tree: Any) -> Any:
        return jax.tree.map(lambda m, a: jnp.where(m, a, 0), mask, tree)

    update, state = optimiser.update(only(grad), state, only(params))
    new = jax.tree.map(lambda m, p, u: jnp.where(m, p - lr * u, p), mask, params, update)
    return new, state


def sgd(settings: Salun) -> optax.GradientTransformation:
    """Gradient -> direction, as torch's SGD: weight decay is part of the gradient."""
    return optax.chain(
        optax.add_decayed_weights(settings.weight_decay), optax.trace(settings.momentum)
    )


@piece(static_argnums=0, donate_argnums=1)
def add_gradient(net: MultiHead, total: Any, model: Model, rows: Rows, weights: np.ndarray) -> Any:
    """`total` plus the gradient of a batch's mean loss in eval mode; weights [B] of 0 and 1."""

    def loss(params: Any) -> Array:
        logits, _ = multihead.forward(
            net, params, model.stats, rows.images, rows.tasks, train=False
        )
        return jnp.sum(weights * cross_entropy(logits, rows.labels)) / jnp.sum(weights)

    return jax.tree.map(jnp.add, total, jax.grad(loss)(model.params))


def saliency(net: MultiHead, model: Model, forget: Rows, size: int) -> Any:
    """|sum over batches of the gradient of the batch's mean loss|, like the parameters."""
    get, n = multihead.rows_of(forget), len(forget.labels)
    total = jax.tree.map(jnp.zeros_like, model.params)
    index = np.arange(steps_per_epoch(n, size) * size)
    for batch in index.reshape(-1, size):
        # What fills up the last batch weighs nothing: it has its own samples' mean.
        weights = (batch < n).astype(np.float32)
        total = add_gradient(net, total, model, get(batch % n), weights)
    return jax.tree.map(lambda a: np.abs(np.asarray(a)), total)


@piece(static_argnums=(0, 1), donate_argnums=2)
def step(
    net: MultiHead, settings: Salun, carry: TrainState, mask: Any, rows: Rows
) -> tuple[TrainState, Array]:
    """A step of SGD on the weights in `mask`: (carry after, loss)."""

    def loss(params: Any) -> tuple[Array, Any]:
        logits, stats = multihead.forward(
            net, params, carry.stats, rows.images, rows.tasks, train=True
        )
        return jnp.mean(cross_entropy(logits, rows.labels)), stats

    (total, stats), grad = jax.value_and_grad(loss, has_aux=True)(carry.params)
    params, optimiser = masked_update(
        sgd(settings), carry.optimiser, grad, carry.params, mask, settings.lr
    )
    return TrainState(params, stats, optimiser), total


def algorithm(net: MultiHead, settings: Salun) -> Algorithm:
    """What answers an unlearn request."""
    size = settings.batch_size

    def unlearn(model: Model, request: Request, key: Array, on_step: OnStep | None) -> Model:
        assert request.forget is not None
        k_order, k_labels = jax.random.split(key)
        seed = np.asarray(jax.random.key_data(k_labels)).tolist()
        among = candidates(net, model.params, request.task)
        scores = saliency(net, model, request.forget, size)
        mask = top_mask(scores, settings.share, among)
        mask = jax.tree.map(jnp.asarray, mask)
        rows = request.forget
        if request.retain is not None:
            rows = multihead.join(rows, request.retain)
        n_forget, n = len(request.forget.labels), len(rows.labels)
        get, labels = multihead.rows_of(rows), np.array(rows.labels)
        params, stats = jax.tree.map(jnp.copy, tuple(model))  # the steps donate their carry
        carry, done = TrainState(params, stats, sgd(settings).init(params)), 0
        for epoch in range(settings.epochs):
            rng = np.random.default_rng([*seed, epoch])
            labels[:n_forget] = random_labels(rng, net.valid[request.task], n_forget)
            order = epoch_batches(k_order, epoch, n_forget, n - n_forget, size, settings.order)
            for batch in order:
                rows = get(batch)._replace(labels=labels[batch])
                carry, loss = step(net, settings, carry, mask, rows)
                done += 1
                if on_step:
                    on_step(done, settings.epochs * len(order), loss)
        return Model(carry.params, carry.stats)

    return unlearn


salun = on_derpp(
    "salun",
    algorithm,
    Salun(),
    reads="forget+retain",
    by_class=True,
    doc="SalUn on DER++ (github.com/OPTML-Group/Unlearn-Saliency, generate_mask.py and RL.py).",
)
