"""Convolutions as products, patches times a matrix, where XLA's own are slow: on a CPU.

XLA:CPU's convolution is many times slower inside a loop, and slower still as the grouped one that a
vmapped network turns into. A product is as fast there as anywhere. Outside of loops it wins where
the output is small: with products at 4x4 and below the gradient on permuted digits takes 0.56 of
the time, at 8x8 and above a product is slower (benchmarks/convolution.py).
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array

SMALL = 16  # pixels of an output
_TARGET: ContextVar[str | None] = ContextVar("target", default=None)


@contextmanager
def for_platform(name: str) -> Iterator[None]:
    """Within it, what is suited is chosen for another platform than this process runs on."""
    token = _TARGET.set(name)
    try:
        yield
    finally:
        _TARGET.reset(token)


def as_products() -> AbstractContextManager[None]:
    """Within it, every plain nn.Conv of a Linen module is traced as a `product`: for loops.

    What a jitted function has traced before stays as it is.
    """
    return nn.intercept_methods(partial(_with, product, (None, suited)))


def as_suited() -> AbstractContextManager[None]:
    """Within it, and outside of `as_products`, every plain nn.Conv is traced as `suited`."""
    return nn.intercept_methods(partial(_with, suited, (None,)))


def suited(
    images: Array, kernel: Array, strides: Any, padding: Any, *args: Any, **kwargs: Any
) -> Array:
    """`jax.lax.conv_general_dilated` of images [B, H, W, D], as is fastest for one call."""
    on_cpu = (_TARGET.get() or jax.default_backend()) == "cpu"
    if on_cpu and _plain(kernel, kwargs) and not args:
        rows, columns = _output(images, kernel, strides, _pads(images, kernel, strides, padding))
        if rows * columns <= SMALL:
            return product(images, kernel, strides, padding, **kwargs)
    return jax.lax.conv_general_dilated(images, kernel, strides, padding, *args, **kwargs)


def product(
    images: Array, kernel: Array, strides: Any, padding: Any, *args: Any, **kwargs: Any
) -> Array:
    """`jax.lax.conv_general_dilated` as Linen calls it, of images [B, H, W, D] as one product.

    What is not a plain two-dimensional convolution (dilated, grouped) is left to XLA.
    """
    if not _plain(kernel, kwargs) or args:
        return jax.lax.conv_general_dilated(images, kernel, strides, padding, *args, **kwargs)
    height, width, depth, features = kernel.shape
    pads = _pads(images, kernel, strides, padding)
    rows, columns = _output(images, kernel, strides, pads)
    images = jnp.pad(images, ((0, 0), *pads, (0, 0)))
    down, right = strides
    patches = [
        images[:, i : i + (rows - 1) * down + 1 : down, j : j + (columns - 1) * right + 1 : right]
        for i in range(height)
        for j in range(width)
    ]
    patches = jnp.concatenate(patches, axis=-1).reshape(-1, height * width * depth)
    out = jnp.matmul(patches, kernel.reshape(-1, features), precision=kwargs.get("precision"))
    return out.reshape(len(images), rows, columns, features)


def _plain(kernel: Array, more: dict[str, Any]) -> bool:
    dilations = [*(more.get("lhs_dilation") or ()), *(more.get("rhs_dilation") or ())]
    return kernel.ndim == 4 and set(dilations) <= {1} and more.get("feature_group_count", 1) == 1


def _pads(images: Array, kernel: Array, strides: Any, padding: Any) -> Any:
    if isinstance(padding, str):
        return jax.lax.padtype_to_pads(images.shape[1:3], kernel.shape[:2], strides, padding)
    return padding


def _output(images: Array, kernel: Array, strides: Any, pads: Any) -> tuple[int, int]:
    """(rows, columns) of what comes out."""
    rows, columns = (
        (size + sum(pad) - width) // stride + 1
        for size, pad, width, stride in zip(
            images.shape[1:3], pads, kernel.shape[:2], strides, strict=True
        )
    )
    return rows, columns


def _with(
    form: Callable[..., Array],
    over: tuple[Any, ...],
    call: Callable[..., Any],
    args: Any,
    kwargs: Any,
    context: nn.module.InterceptorContext,
) -> Any:
    """`call`, of an nn.Conv with `form` where it would use one of `over`."""
    layer = context.module
    if isinstance(layer, nn.Conv) and layer.conv_general_dilated in over:
        # A bound module is a copy of its own, made for this one call; its fields are frozen.
        object.__setattr__(layer, "conv_general_dilated", form)
    return call(*args, **kwargs)
