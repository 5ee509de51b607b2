"""What holds the retained tasks in place: L_reg's side of a request, and its pull on phi.

It costs what is retained, whatever the learner has room for: the retained tasks' embeddings are
gathered into a bucket, which rows of weight 0 fill up, and traced once for each size of bucket.
Apart from the rest of a step, so that one more size is one small program more, which learning and
unlearning share.
"""

from typing import NamedTuple

import jax
import numpy as np
from jax import Array

from uncle_jax.core import objectives
from uncle_jax.core.hypernet import Phi
from uncle_jax.core.network import Network
from uncle_jax.core.objectives import Anchor
from uncle_jax.core.pieces import piece
from uncle_jax.core.state import CLState


class Held(NamedTuple):
    """The retained tasks, n of a bucket, and phi*'s side of L_reg: constant within a request."""

    task_emb: Array  # [n, E]
    chunk_emb: Array  # [C, E]
    anchor: Anchor


def bucket(count: int, most: int) -> int:
    """The least of 0, 1, 2, 3, 4, 6, 8, 12, 16, 24, ... that holds `count`, but not above `most`.

    Twice as fine as powers of two: a size costs a small program, and rows in vain every step.
    """
    if count <= 2:
        return min(count, most)
    power = 1 << (count - 1).bit_length()  # of two: power / 2 < count <= power
    return min(3 * power // 4 if count <= 3 * power // 4 else power, most)


def hold(net: Network, state: CLState, unlearning: bool = False) -> Held:
    """What holds the tasks that `state` retains at phi*; once a request.

    L_reg divides by their number; with `reg_mean=benchmark` by that of all tasks while learning, as
    the authors' code, which while `unlearning` divides by those retained, too. Waits for
    `state.status`, to know how many there are.
    """
    kept = np.flatnonzero(np.asarray(state.retained))
    n_tasks = len(state.status)
    rows = np.zeros(bucket(len(kept), n_tasks), np.int32)
    rows[: len(kept)] = kept
    every = net.hyper.reg_mean == "benchmark" and not unlearning
    count = n_tasks if every else max(len(kept), 1)
    weight = np.where(np.arange(len(rows)) < len(kept), np.float32(1 / count), np.float32(0))
    return _hold(net, state.phi_star, state.task_emb, state.chunk_emb, rows, weight)


@piece(static_argnums=0)
def _hold(
    net: Network, phi_star: Phi, task_emb: Array, chunk_emb: Array, rows: Array, weight: Array
) -> Held:
    hyper, layout = net.hyper, net.layout
    n_rows = len(rows) * layout.chunks
    form = objectives.choose_form(hyper.drift, n_rows, hyper.trunk[-1] + 1, sum(layout.whole))
    emb = task_emb[rows]
    anchor = objectives.drift_anchor(
        phi_star, emb, chunk_emb, weight, layout, form, net.drift_gains
    )
    return Held(emb, chunk_emb, anchor)


def drift(net: Network, phi: Phi, held: Held) -> Array:
    """L_reg of Equations 2 and 3; traced where it is called."""
    return objectives.drift(
        phi, held.anchor, held.task_emb, held.chunk_emb, net.layout, net.drift_gains
    )


@piece(static_argnums=0)
def pull(net: Network, phi: Phi, held: Held, weight: Array | np.float32) -> tuple[Array, Phi]:
    """(L_reg, the gradient of `weight` L_reg by phi)."""

    def loss(phi: Phi) -> tuple[Array, Array]:
        reg = drift(net, phi, held)
        return weight * reg, reg

    (_, reg), grad = jax.value_and_grad(loss, has_aux=True)(phi)
    return reg, grad
