"""A hypernetwork drawn anew, fitted to networks that another one generates. Ours, not the paper's.

Nothing of the old phi is in the new one but what is in those networks: beside a key they are all
that it is made of. No data are needed. A few steps of Adam make features that tell the networks
apart; then the heads are solved for. Where there are as many features as rows nothing is left over.

Shapes: N networks (surplus ones have weight 0), E embedding, C chunks, R = N C rows, U features,
W columns of a head.
"""

import math
from functools import partial
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import Array

from uncle_jax.core import heads, objectives
from uncle_jax.core.hypernet import Phi
from uncle_jax.core.layout import Kind, pack, unpack
from uncle_jax.core.loop import descend
from uncle_jax.core.network import Network
from uncle_jax.core.pieces import piece
from uncle_jax.core.precision import matmul, vdot
from uncle_jax.core.steps import outputs


class Fit(NamedTuple):
    """What is fitted; donated from step to step."""

    phi: Phi
    emb: Array  # [N, E] one for each network
    chunk_emb: Array  # [C, E]
    optimiser: optax.OptState


class Networks(NamedTuple):
    """What it is fitted to: constant."""

    out: dict[Kind, Array]  # {kind: [N, W, C]}, as `steps.outputs` has them
    weight: Array  # [N] 1 / (number of networks), or 0


@piece()
def start(phi: Phi, emb: Array, chunk_emb: Array) -> Fit:
    """Where the fit starts: a phi, embeddings [N, E] and chunk embeddings [C, E] drawn anew."""
    chex.assert_rank((emb, chunk_emb), 2)
    # Copies, because the steps donate their carry.
    phi, emb, chunk_emb = free = jax.tree.map(jnp.copy, (phi, emb, chunk_emb))
    return Fit(phi, emb, chunk_emb, optax.scale_by_adam().init(free))


@piece(static_argnums=0)
def networks(net: Network, phi: Phi, emb: Array, chunk_emb: Array) -> dict[Kind, Array]:
    """{kind: [N, W, C]} of the embeddings [N, E]."""
    chex.assert_rank((emb, chunk_emb), 2)
    return jax.vmap(lambda one: outputs(net, phi, one, chunk_emb))(emb)


def filled(emb: Array) -> Array:
    """`emb` [N, E] up to the next power of two, by the first again: one trace for each."""
    surplus = 2 ** math.ceil(math.log2(len(emb))) - len(emb)
    return jnp.concatenate([emb, jnp.repeat(emb[:1], surplus, axis=0)])


def targets(out: dict[Kind, Array], of: int) -> Networks:
    """`out` {kind: [N, W, C]}, weighted evenly, among `of` networks: the others have weight 0."""
    n = len(next(iter(out.values())))
    weight = jnp.where(jnp.arange(of) < n, 1 / n, 0.0)
    return Networks(jax.tree.map(lambda a: jnp.pad(a, ((0, of - n), (0, 0), (0, 0))), out), weight)


@piece(static_argnums=0)
def without_classes(
    net: Network, out: dict[Kind, Array], index: Array | np.int32, gone: Any, others: Any
) -> dict[Kind, Array]:
    """`out` {kind: [N, W, C]}, network `index` without the classes `gone` (core/heads.py)."""
    theta = unpack(net.layout, {kind: matrix[index] for kind, matrix in out.items()})
    own = pack(net.layout, heads.without_classes(theta, gone, others))
    return {kind: matrix.at[index].set(own[kind]) for kind, matrix in out.items()}


@piece(static_argnums=0, donate_argnums=1)
def step(net: Network, carry: Fit, to: Networks, lr: Array | np.float32) -> tuple[Fit, Array]:
    """A step of Adam: (carry after, loss before). The loss is what L_reg is, with new embeddings.

    sum_n w_n || H(e_n; phi) - out_n ||^2 over phi, e and the chunk embeddings; `lr`: a scalar.
    """

    def loss(free: Any) -> Array:
        out = networks(net, *free)
        each = jax.vmap(partial(objectives.alignment, layout=net.layout))(out, to.out)
        return vdot(to.weight, each)

    free = carry[:3]
    value, grad = jax.value_and_grad(loss)(free)
    update, optimiser = optax.scale_by_adam().update(grad, carry.optimiser)
    phi, emb, chunk_emb = descend(free, update, lr)
    return Fit(phi, emb, chunk_emb, optimiser), value


def holding(net: Network, phi: Phi, emb: Array, chunk_emb: Array, out: dict[Kind, Array]) -> Phi:
    """`phi` with the heads nearest to its own that generate `out` {kind: [N, W, C]} of emb [N, E].

    Exact where N C is no more than the trunk's features; else by least squares.
    """
    emb = filled(emb)
    return solve(net, Fit(phi, emb, chunk_emb, ()), targets(out, len(emb)))


RIDGE = 1e-7
"""Of the solution, relative to the largest squared singular value: as float32 can tell apart."""


@piece(static_argnums=0)
def solve(net: Network, carry: Fit, to: Networks) -> Phi:
    """carry's phi with the heads nearest to its own that generate `to`; else by least squares."""
    u_RxU = objectives.features_of_rows(carry.phi, carry.emb, carry.chunk_emb)
    row_Rx1 = jnp.repeat(jnp.sqrt(to.weight), len(carry.chunk_emb))[:, None]
    left, s, right = jnp.linalg.svd(row_Rx1 * u_RxU, full_matrices=False)
    inverse = s / (s**2 + RIDGE * s[0] ** 2)
    heads = {}
    for kind, head in carry.phi.heads.items():
        target_RxW = jnp.moveaxis(to.out[kind], 2, 1).reshape(len(u_RxU), -1)
        cut = net.layout.whole_width(kind)
        ragged = jnp.tile(net.layout.mask(kind), (len(carry.emb), 1))
        for _ in range(2):  # the second takes off what rounding left
            error = target_RxW - matmul(u_RxU, head)
            error = jnp.concatenate([error[:, :cut], ragged * error[:, cut:]], axis=1)
            along = inverse[:, None] * matmul(left.T, row_Rx1 * error)
            head = head + matmul(right.T, along)
        heads[kind] = head
    return carry.phi._replace(heads=heads)
