"""Equations 2, 3 and 6 as pure functions: drift from phi*, alignment with noise, task loss.

Shapes: T tasks, C chunks, R = T C rows, U = K + 1 features, W columns of a head (F whole, then the
ragged ones), N noise samples. Drift is a sum of squares over the outputs in use, as in the paper.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax
from jax import Array

from uncle_jax.core import hypernet
from uncle_jax.core.hypernet import Phi
from uncle_jax.core.layout import KINDS, Kind, Layout
from uncle_jax.core.precision import matmul, vdot


def task_loss(logits: Array, labels: Array) -> Array:
    """L_task of Equation 2: mean cross-entropy of logits [B, Y] and labels [B]."""
    chex.assert_rank((logits, labels), (2, 1))
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


# --------------------------------------------------------------------------------------------------
# L_reg: sum_t w_t || H(e_t; phi) - H(e_t; phi*) ||^2


class Anchor(NamedTuple):
    """What L_reg needs of phi*: constant within a request."""

    weight: Array  # [R] each row's weight: 1 / (retained tasks) or 0
    features: Array  # [R, U] u*
    heads: dict[Kind, Array]  # [U, W] V* (scaled as the drift is)
    targets: dict[Kind, Array]  # [R, W] u* V*; direct form only
    moment: Array  # [U, U] sum_r w u* u*^T; exact form only
    gram: Array  # [U, U] sum over heads of V* V*^T; exact form only


def choose_form(drift: str, rows: int, features: int, columns: int) -> str:
    """The form of `drift`; for "auto", whichever of exact and direct takes fewer multiply-adds.

    Direct: three products of [R, U] with [U, W] (value, two gradients). Exact: four of [U, U] with
    [U, W] and four of [R, U] with [U, U]. `columns` counts the whole ones of all heads.
    """
    if drift != "auto":
        return drift
    direct = 3 * rows * features * columns
    exact = 4 * features**2 * columns + 4 * rows * features**2
    return "direct" if direct <= exact else "exact"


def drift_anchor(
    phi_star: Phi,
    task_emb: Array,
    chunk_emb: Array,
    weight: Array,
    layout: Layout,
    form: str,
    gains: Mapping[Kind, Any] | None = None,
) -> Anchor:
    """phi*'s side of L_reg for task embeddings [T, E] with weights [T]; once per request.

    `gains` ({kind: [W]}) measures the drift in theta where outputs are scaled (hypernet.gains).
    """
    chex.assert_rank((task_emb, chunk_emb, weight), (2, 2, 1))
    chex.assert_equal_shape_prefix((task_emb, weight), 1)
    u = features_of_rows(phi_star, task_emb, chunk_emb)
    weight_R = jnp.repeat(weight, chunk_emb.shape[0])
    heads = scaled(phi_star.heads, gains)
    empty = jnp.zeros((0, 0), u.dtype)
    targets, moment, gram = {}, empty, empty
    if form == "direct":
        targets = {kind: matmul(u, head) for kind, head in heads.items()}
    else:
        whole = {kind: heads[kind][:, : layout.whole_width(kind)] for kind in heads}
        moment = matmul((u * weight_R[:, None]).T, u)
        gram = sum((matmul(head, head.T) for head in whole.values()), start=jnp.zeros_like(moment))
    return Anchor(weight_R, u, heads, targets, moment, gram)


def drift(
    phi: Phi,
    anchor: Anchor,
    task_emb: Array,
    chunk_emb: Array,
    layout: Layout,
    gains: Mapping[Kind, Any] | None = None,
) -> Array:
    """L_reg of Equations 2 and 3: the weighted squared distance of H(.; phi) from H(.; phi*).

    Both forms give the same value and gradients. The exact form's cost hardly depends on T: it
    needs no output at all, only moments of the features and of the heads, all [U, U].
    """
    u = features_of_rows(phi, task_emb, chunk_emb)
    chex.assert_equal_shape((u, anchor.features))
    if anchor.targets:
        out = {kind: matmul(u, head) for kind, head in phi.heads.items()}
        return drift_of_outputs(out, anchor, layout, gains)
    total = jnp.zeros(())
    whole, whole_star = [], []
    for kind, head in scaled(phi.heads, gains).items():
        cut = layout.whole_width(kind)
        star = anchor.heads[kind]
        whole.append(head[:, :cut])
        whole_star.append(star[:, :cut])
        change = matmul(u, (head - star)[:, cut:])
        change += matmul(u - anchor.features, star[:, cut:])
        square = _ragged(layout, kind, len(u)) * change**2
        total += vdot(anchor.weight, jnp.sum(square, axis=1))
    if whole:
        total += _exact(
            u,
            tuple(whole),
            anchor.weight,
            anchor.features,
            tuple(whole_star),
            anchor.moment,
            anchor.gram,
        )
    return total


def drift_of_outputs(
    out: Mapping[Kind, Array],
    anchor: Anchor,
    layout: Layout,
    gains: Mapping[Kind, Any] | None = None,
) -> Array:
    """L_reg, direct form, from the outputs {kind: [R, W]} of the anchor's rows at phi."""
    total = jnp.zeros(())
    for kind, out_RxW in scaled(out, gains).items():
        cut = layout.whole_width(kind)  # of outputs: a slice of a head would be copied every step
        square = (out_RxW - anchor.targets[kind]) ** 2
        total += vdot(anchor.weight, jnp.sum(square[:, :cut], axis=1))
        ragged = _ragged(layout, kind, len(square)) * square[:, cut:]
        total += vdot(anchor.weight, jnp.sum(ragged, axis=1))
    return total


def _ragged(layout: Layout, kind: Kind, rows: int) -> Array:
    """[R, ragged] 1 where a row of a ragged column is used; rows are chunks, tasks outermost."""
    return jnp.tile(layout.mask(kind), (rows // layout.chunks, 1))


def features_of_rows(phi: Phi, task_emb: Array, chunk_emb: Array) -> Array:
    """[R, U] trunk features of every task and chunk, tasks outermost."""
    u = hypernet.features(phi.trunk, task_emb, chunk_emb)
    return u.reshape(-1, u.shape[-1])


def scaled(columns: Mapping[Kind, Array], gains: Mapping[Kind, Any] | None) -> dict[Kind, Array]:
    """Heads {kind: [U, W]}, or outputs [R, W], in theta's units: each column times its gain."""
    if gains is None:
        return dict(columns)
    return {kind: matrix * gains[kind] for kind, matrix in columns.items()}


@jax.custom_vjp
def _exact(u, heads, weight, u_star, heads_star, moment, gram):
    """sum_r w_r || u_r V - u*_r V* ||^2 without forming any output.

    With dV = V - V*, du = u - u*, an output's change is u dV + du V*, so the sum is
    <G1, Suu> + 2 <G2, Sud> + <G3, Sdd> of G1 = dV dV^T, G2 = dV V*^T, G3 = V* V*^T and the moments
    Sab = sum_r w a b^T. In differences nothing cancels, as it would in a Gram expansion.
    """
    return _exact_forward(u, heads, weight, u_star, heads_star, moment, gram)[0]


def _exact_forward(u, heads, weight, u_star, heads_star, moment, gram):
    du = u - u_star
    dheads = tuple(head - star for head, star in zip(heads, heads_star, strict=True))
    g1 = sum(matmul(d, d.T) for d in dheads)
    g2 = sum(matmul(d, star.T) for d, star in zip(dheads, heads_star, strict=True))
    weighted = du * weight[:, None]
    s_sd = matmul(u_star.T, weighted)
    s_dd = matmul(du.T, weighted)
    s_ud = s_sd + s_dd
    s_uu = moment + s_sd + s_sd.T + s_dd
    value = vdot(g1, s_uu) + 2 * vdot(g2, s_ud) + vdot(gram, s_dd)
    return value, (du, dheads, weight, u_star, heads_star, gram, g1, g2, s_uu, s_ud)


def _exact_backward(saved, cotangent):
    # By hand, because autodiff takes one [U, U] x [U, W] and four [R, U] x [U, U] products more.
    du, dheads, weight, u_star, heads_star, gram, g1, g2, s_uu, s_ud = saved
    to_u = matmul(u_star, g1 + g2) + matmul(du, g1 + g2 + g2.T + gram)
    u_bar = 2 * cotangent * weight[:, None] * to_u
    heads_bar = tuple(
        2 * cotangent * (matmul(s_uu, d) + matmul(s_ud, star))
        for d, star in zip(dheads, heads_star, strict=True)
    )
    return u_bar, heads_bar, None, None, None, None, None


_exact.defvjp(_exact_forward, _exact_backward)


# --------------------------------------------------------------------------------------------------
# Alignment of H(e_f; phi) with noise


def noise_like(key: Array, out: Mapping[Kind, Array]) -> dict[Kind, Array]:
    """z ~ N(0, I) in the shape of head outputs {kind: [W, C]}, whatever their order.

    A kind's noise is known by the kind alone: a dict through jit comes back in another order.
    """
    return {
        kind: jax.random.normal(jax.random.fold_in(key, KINDS.index(kind)), x.shape)
        for kind, x in out.items()
    }


def alignment(out: Mapping[Kind, Array], z: Mapping[Kind, Array], layout: Layout) -> Array:
    """|| H(e_f; phi) - z ||^2 over the slots in use, for outputs and noise {kind: [W, C]}."""
    total = jnp.zeros(())
    for kind, out_WxC in out.items():
        cut = layout.whole_width(kind)
        change = (out_WxC - z[kind]) ** 2
        total += jnp.sum(change[:cut]) + jnp.sum(layout.mask(kind).T * change[cut:])
    return total


def noise_alignment(
    key: Array, out: Mapping[Kind, Array], layout: Layout, noise: str, samples: int, form: str
) -> Array:
    """L_fgt of Algorithm 1 for outputs {kind: [W, C]} of the forgotten task.

    gaussian: (1/N) sum_i || out - z_i ||^2, z_i ~ N(0, I) drawn anew from `key` (Equation 3).
        `literal` draws all N (vmapped); `collapsed` draws their mean, N(0, I/N): the same gradient,
        and the same value up to what does not depend on phi.
    fixed: || out - z ||^2 with one z from `key`, which the caller never changes (Appendix E).
    norm: || out ||^2, Equation 6. norm-root: || out ||, as the authors' code has it.
    """
    if noise in ("norm", "norm-root"):
        square = alignment(out, jax.tree.map(jnp.zeros_like, dict(out)), layout)
        return square if noise == "norm" else jnp.sqrt(jnp.maximum(square, 1e-30))  # 0 at 0
    if noise == "fixed":
        return alignment(out, noise_like(key, out), layout)
    if form == "collapsed":
        mean = jax.tree.map(lambda z: z / jnp.sqrt(samples), noise_like(key, out))
        return alignment(out, mean, layout)
    z_N = jax.vmap(lambda k: noise_like(k, out))(jax.random.split(key, samples))
    return mean_alignment(out, z_N, layout)


def mean_alignment(out: Mapping[Kind, Array], z_N: Mapping[Kind, Array], layout: Layout) -> Array:
    """(1/N) sum_i || out - z_i ||^2, Equation 3 to the letter, for noise {kind: [N, W, C]}."""
    return jnp.mean(jax.vmap(lambda z: alignment(out, z, layout))(dict(z_N)))


def fresh_embeddings(key: Array, emb: Array, draws: int, radius: float | None) -> Array:
    """[F, E] embeddings that no task has: N(0, I), or `radius` N(0, I) around the embedding [E].

    N(0, I) is what a task that is learned starts from (Algorithm 1, line 1).
    """
    z_FxE = jax.random.normal(key, (draws, *emb.shape))
    return z_FxE if radius is None else emb + radius * z_FxE


def unlearn_weights(gamma: float, noise: str) -> tuple[float, float]:
    """Of L_fgt and of L_reg in Equations 3 and 6: (gamma, 1); of fixed noise (1, gamma), App. E."""
    return (1.0, gamma) if noise == "fixed" else (gamma, 1.0)
