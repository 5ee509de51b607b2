"""Rounding: does a task come back when weights are kept in fewer bits?

What little an unlearning moves can be less than a step of INT4 (Zhang et al. 2024, "Catastrophic
failure of LLM unlearning via quantization"). Symmetric, a scale a column: inferred.
"""

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from jax import Array

from uncle_jax.config import Bound, Settings
from uncle_jax.evaluation.accuracy import evaluate
from uncle_jax.evaluation.audit.target import Target
from uncle_jax.methods.protocol import Method

WEIGHTS = ("phi", "chunk_emb", "params")
"""Fields of a state that hold weights; of a state without any of them all floats are rounded."""


@dataclass(frozen=True)
class Rounding(Settings):
    """To how many bits."""

    bits: Annotated[tuple[int, ...], Bound(least=2)] = (8, 4)


def rounded(array: Array, bits: int) -> Array:
    """`array` in so many bits: whole multiples of a column's largest value / (2^(bits - 1) - 1)."""
    steps = 2 ** (bits - 1) - 1
    axes = tuple(range(array.ndim - 1))
    scale = jnp.max(jnp.abs(array), axis=axes, keepdims=True) / steps
    return jnp.where(scale > 0, jnp.round(array / jnp.where(scale > 0, scale, 1)) * scale, array)


def kept_in(state: Any, bits: int) -> Any:
    """`state` with its weights rounded; what is no float stays."""

    def one(leaf: Any) -> Any:
        array = jnp.asarray(leaf)
        return rounded(array, bits) if jnp.issubdtype(array.dtype, jnp.floating) else leaf

    own = [field.name for field in dataclasses.fields(state)]
    names = [name for name in WEIGHTS if name in own]
    if not names:
        return jax.tree.map(one, state)
    return dataclasses.replace(
        state, **{name: jax.tree.map(one, getattr(state, name)) for name in names}
    )


def measure(method: Method, state: Any, target: Target, settings: Rounding) -> list[float]:
    """The task's test accuracy in per cent, once for each number of bits."""
    return [
        evaluate(method, kept_in(state, bits), target.task, target.test) for bits in settings.bits
    ]
