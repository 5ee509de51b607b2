"""Convolutions as products: patches times a matrix.

XLA:CPU's own convolution is many times slower inside a loop, and slower still as the grouped one
that a vmapped network turns into. A product is as fast there as anywhere.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax import Array


def as_products() -> AbstractContextManager[None]:
    """Within it, every plain nn.Conv of a Linen module is traced as a `product`.

    What a jitted function has traced before stays as it is.
    """
    return nn.intercept_methods(_with_products)


def product(
    images: Array, kernel: Array, strides: Any, padding: Any, *args: Any, **kwargs: Any
) -> Array:
    """`jax.lax.conv_general_dilated` as Linen calls it, of images [B, H, W, D] as one product.

    What is not a plain two-dimensional convolution (dilated, grouped) is left to XLA.
    """
    if not _plain(kernel, kwargs) or args:
        return jax.lax.conv_general_dilated(images, kernel, strides, padding, *args, **kwargs)
    height, width, depth, features = kernel.shape
    if isinstance(padding, str):
        padding = jax.lax.padtype_to_pads(images.shape[1:3], (height, width), strides, padding)
    images = jnp.pad(images, ((0, 0), *padding, (0, 0)))
    down, right = strides
    rows = (images.shape[1] - height) // down + 1
    columns = (images.shape[2] - width) // right + 1
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


def _with_products(
    call: Callable[..., Any], args: Any, kwargs: Any, context: nn.module.InterceptorContext
) -> Any:
    layer = context.module
    if isinstance(layer, nn.Conv) and layer.conv_general_dilated is None:
        # A bound module is a copy of its own, made for this one call; its fields are frozen.
        object.__setattr__(layer, "conv_general_dilated", product)
    return call(*args, **kwargs)
