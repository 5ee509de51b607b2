"""The hypernetwork H(e; phi): task and chunk embeddings -> trunk features -> heads -> theta.

Shapes: T tasks, C chunks, E embedding, K last trunk width, U = K + 1, W columns of a head, P values
of theta. A head is one [U, W] matrix whose last row is its bias, and works on features [h, 1].
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np

from uncle_jax.core import layout as layouts
from uncle_jax.core import precision
from uncle_jax.core.layout import Kind, Layout

Array = jax.Array


class Dense(NamedTuple):
    """One trunk layer."""

    w: Array  # [in, out]
    b: Array  # [out]


class Phi(NamedTuple):
    """The hypernetwork's parameters."""

    trunk: tuple[Dense, ...]
    heads: dict[Kind, Array]  # [U, W]; the last row is the bias


def features(trunk: tuple[Dense, ...], task_emb: Array, chunk_emb: Array) -> Array:
    """Trunk features with a 1 appended, [..., C, U], of embeddings [..., E] and [C, E]."""
    h = _trunk_input(task_emb, chunk_emb)
    for layer in trunk:
        h = jax.nn.relu(precision.matmul(h, layer.w) + layer.b)
    return jnp.concatenate([h, jnp.ones_like(h[..., :1])], axis=-1)


def _trunk_input(task_emb: Array, chunk_emb: Array) -> Array:
    """[..., C, 2 E] each task embedding [..., E] beside each chunk's [C, E]."""
    chex.assert_rank(chunk_emb, 2)
    shape = (*task_emb.shape[:-1], *chunk_emb.shape)
    task = jnp.broadcast_to(task_emb[..., None, :], shape)
    chunk = jnp.broadcast_to(chunk_emb, shape)
    return jnp.concatenate([task, chunk], axis=-1)


def revived(key: Array, phi: Phi, task_emb: Array, chunk_emb: Array) -> tuple[Phi, Array]:
    """(`phi` whose dead units are drawn anew, how many there were).

    Dead is a trunk unit that is 0 for every one of the task embeddings [T, E] and chunks. It gets
    weights as `init` draws them, and what reads it forgets it, so that all of these tasks' outputs
    stay as they are, and learning can use it again. After Sokar et al. 2023 (ReDo), who keep what
    is dormant by a threshold; at 0 nothing is lost.
    """
    chex.assert_rank(task_emb, 2)
    h_TxCxK = _trunk_input(task_emb, chunk_emb)
    layers, count, gone = list[Dense](), jnp.zeros((), jnp.int32), None
    for k, layer in zip(jax.random.split(key, len(phi.trunk)), phi.trunk, strict=True):
        w = layer.w if gone is None else jnp.where(gone[:, None], 0, layer.w)
        h_TxCxK = jax.nn.relu(precision.matmul(h_TxCxK, w) + layer.b)
        gone = ~jnp.any(h_TxCxK > 0, axis=(0, 1))
        drawn = jax.random.normal(k, w.shape) * np.sqrt(2 / len(w))
        layers.append(Dense(jnp.where(gone, drawn, w), jnp.where(gone, 0, layer.b)))
        count += jnp.sum(gone)
    assert gone is not None
    read = jnp.append(~gone, True)[:, None]  # the bias stays
    heads = {kind: jnp.where(read, head, 0) for kind, head in phi.heads.items()}
    return Phi(tuple(layers), heads), count


def outputs(phi: Phi, task_emb: Array, chunk_emb: Array) -> dict[Kind, Array]:
    """H(e; phi): every head's outputs {kind: [W, C]} for one task embedding [E]."""
    u_CxU = features(phi.trunk, task_emb, chunk_emb)
    return {kind: precision.einsum("uw,cu->wc", head, u_CxU) for kind, head in phi.heads.items()}


def gains(layout: Layout, parametrisation: str) -> dict[Kind, np.ndarray] | None:
    """{kind: [W]} what an output is multiplied by to be a value of theta; None where it is one.

    `gain`: sqrt(2 / fan_in) for weights, 1 for norm parameters and biases, so that Adam's step is
    in proportion to each layer (inferred; the paper knows only `hyperfan`).
    """
    if parametrisation == "hyperfan":
        return None
    deviation = {kind: np.sqrt(layout.column_values(kind, "variance")) for kind in layout.kinds}
    return {kind: np.where(std > 0, std, 1).astype(np.float32) for kind, std in deviation.items()}


def scale(layout: Layout, parametrisation: str, out: Mapping[Kind, Array]) -> dict[Kind, Array]:
    """theta's values, still in columns {kind: [W, C]}, from head outputs {kind: [W, C]}."""
    factor = gains(layout, parametrisation)
    if factor is None:
        return dict(out)
    base = {kind: layout.column_values(kind, "base") for kind in out}
    return {
        kind: jnp.asarray(base[kind])[:, None] + jnp.asarray(factor[kind])[:, None] * out[kind]
        for kind in out
    }


def generate(
    phi: Phi, task_emb: Array, chunk_emb: Array, layout: Layout, parametrisation: str = "hyperfan"
) -> dict[str, Any]:
    """theta_t, the main network's parameters for the task embedding [E]."""
    out = outputs(phi, task_emb, chunk_emb)
    return layouts.unpack(layout, scale(layout, parametrisation, out))


def init(
    key: Array,
    layout: Layout,
    task_emb: Array,
    chunk_emb: Array,
    trunk: tuple[int, ...] = (128, 256, 512),
    parametrisation: str = "hyperfan",
) -> Phi:
    """phi such that every leaf of the generated theta has the variance He initialisation gives it.

    Hyperfan-in with no generated bias (Chang et al. 2020, Table 1): a head column's variance is its
    leaf's, 2 / fan_in, over the second moment of the trunk's features. That moment is measured on
    the given embeddings, [T, E] and [C, E], because at widths of a few hundred it is several per
    cent off its expectation. Trunk: He fan-in, zero bias. Norm scales: head 0, bias 1; shifts and
    biases: 0. `gain` gives every weight column variance 1 instead and scales outside (`gains`).
    """
    keys = jax.random.split(key, len(trunk) + len(layouts.KINDS))
    widths = (task_emb.shape[-1] + chunk_emb.shape[-1], *trunk)
    layers = tuple(
        Dense(
            jax.random.normal(k, (n_in, n_out)) * np.sqrt(2 / n_in),
            jnp.zeros(n_out),
        )
        for k, n_in, n_out in zip(keys[: len(trunk)], widths[:-1], widths[1:], strict=True)
    )
    h_TxCxK = features(layers, task_emb, chunk_emb)[..., :-1]
    moment = jnp.sum(jnp.mean(h_TxCxK**2, axis=(0, 1)))  # K times E[h^2]
    heads = {}
    for kind in layout.kinds:
        variance = layout.column_values(kind, "variance")
        bias = layout.column_values(kind, "base")
        if parametrisation == "gain":
            variance, bias = (variance > 0).astype(np.float32), np.zeros_like(bias)
        k = keys[len(trunk) + layouts.KINDS.index(kind)]
        w = jax.random.normal(k, (trunk[-1], variance.size)) * jnp.sqrt(variance / moment)
        heads[kind] = jnp.concatenate([w, bias[None]])
    return Phi(layers, heads)
