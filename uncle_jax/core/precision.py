"""In which precision products are taken: the policy, whose only place this is.

An accelerator's default product rounds its inputs, a GPU's to the 10 bits of TF32. The main network
bears that: what it computes is noise about as large. The hypernetwork does not. L_reg is the square
of a small difference between two of its outputs, each rounded apart, so that while phi has moved by
a thousandth of its spread or less the gradient of the rounded one is noise (docs/design.md). So

- whatever has to do with H, its trunk, heads and drift, is multiplied here, in full float32;
- the main network is multiplied in the device's default, or computes in bfloat16 if asked;
- phi, theta as generated, optimiser, norm statistics, logits and losses are float32 always.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

FULL = jax.lax.Precision.HIGHEST


def matmul(a: Any, b: Any) -> Array:
    """a @ b in full float32, and so are its gradients' products."""
    return jnp.matmul(a, b, precision=FULL)


def einsum(subscripts: str, a: Any, b: Any) -> Array:
    """jnp.einsum in full float32."""
    return jnp.einsum(subscripts, a, b, precision=FULL)


def vdot(a: Any, b: Any) -> Array:
    """The sum of the products of all values, in full float32."""
    return jnp.vdot(a, b, precision=FULL)


def lowered(tree: Any, precision: str) -> Any:
    """The float32 arrays of `tree` as the main network computes: `precision` is Config's.

    Linen's layers compute in what they are given where they state no dtype of their own; its norms
    take their statistics in float32 all the same.
    """
    dtype = jnp.dtype(precision)
    return jax.tree.map(lambda a: a.astype(dtype) if a.dtype == jnp.float32 else a, tree)


def raised(tree: Any) -> Any:
    """What the main network answered, in float32: losses and their sums are."""
    return jax.tree.map(lambda a: a.astype(jnp.float32), tree)
