"""What holds the retained tasks in place: L_reg's side of a request, and a step's way through H.

It costs what is retained, whatever the learner has room for: the retained tasks' embeddings are
gathered into a bucket, which rows of weight 0 fill up, and traced once for each size of bucket.
A step goes through H once forward and once back, its own embedding and those held in one product.
Both are apart from the rest of a step, so that one more size of bucket is two small programs more,
which learning and unlearning share.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from uncle_jax.core import objectives
from uncle_jax.core.hypernet import Phi
from uncle_jax.core.layout import Kind
from uncle_jax.core.network import Network
from uncle_jax.core.objectives import Anchor
from uncle_jax.core.pieces import piece
from uncle_jax.core.precision import matmul
from uncle_jax.core.state import CLState

T = TypeVar("T")


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


class Force(NamedTuple):
    """The gradient of weighted L_reg, as far as a forward pass knows it."""

    outputs: dict[Kind, Array]  # {kind: [R, W]} by the held rows' outputs; direct form only
    phi: Phi | None  # by phi, whole; exact form only, which forms no output


@piece(static_argnums=0)
def forward(
    net: Network,
    phi: Phi,
    emb: Array,
    chunk_emb: Array,
    held: Held,
    weight: Array | np.float32,
) -> tuple[dict[Kind, Array], Array, Force]:
    """({kind: [W, C]} H(e; phi) of a step's own embedding [E], L_reg, `weight` L_reg's force)."""
    out = _rows(net, held, phi, emb, chunk_emb)
    own = {kind: rows[: len(chunk_emb)].T for kind, rows in out.items()}

    def pull(measure: Callable[[T], Array], at: T) -> tuple[Array, T]:
        """(L_reg, the gradient of `weight` L_reg) where it is measured."""

        def loss(at: T) -> tuple[Array, Array]:
            reg = measure(at)
            return weight * reg, reg

        (_, reg), grad = jax.value_and_grad(loss, has_aux=True)(at)
        return reg, grad

    if not held.anchor.targets:
        reg, by_phi = pull(lambda phi: drift(net, phi, held), phi)
        return own, reg, Force({}, by_phi)

    def direct(out: dict[Kind, Array]) -> Array:
        return objectives.drift_of_outputs(out, held.anchor, net.layout, net.drift_gains)

    reg, by_outputs = pull(direct, {kind: rows[len(chunk_emb) :] for kind, rows in out.items()})
    return own, reg, Force(by_outputs, None)


@piece(static_argnums=0)
def backward(
    net: Network,
    phi: Phi,
    emb: Array,
    chunk_emb: Array,
    held: Held,
    own: Mapping[Kind, Array],
    force: Force,
) -> tuple[Phi, Array, Array]:
    """The gradients by phi, emb [E] and chunk_emb [C, E] of a step's loss.

    `own` {kind: [W, C]}: the gradient by what `forward` returned of the step's own embedding.
    """
    rows = {kind: matrix.T for kind, matrix in own.items()}
    if force.outputs:
        rows = {kind: jnp.concatenate([rows[kind], force.outputs[kind]]) for kind in rows}
    _, back = jax.vjp(partial(_rows, net, held), phi, emb, chunk_emb)
    phi_grad, emb_grad, chunk_grad = back(rows)
    if force.phi is not None:
        phi_grad = jax.tree.map(jnp.add, phi_grad, force.phi)
    return phi_grad, emb_grad, chunk_grad


def _rows(net: Network, held: Held, phi: Phi, emb: Array, chunk_emb: Array) -> dict[Kind, Array]:
    """{kind: [C + R, W]} outputs of the embedding [E], then of those held if they are needed.

    One product of all of them: on a CPU half of a product's time goes into reading the heads.
    """
    emb_TxE = emb[None]
    if held.anchor.targets:
        emb_TxE = jnp.concatenate([emb_TxE, held.task_emb])
    u = objectives.features_of_rows(phi, emb_TxE, chunk_emb)
    return {kind: matmul(u, head) for kind, head in phi.heads.items()}
