"""The main network F(x; theta): Linen ResNets that hold no parameters of their own.

Shapes: B batch, H x W image, D channels, Y classes. theta comes from the hypernetwork, running norm
statistics from CLState; `apply` puts both under any Linen module.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from uncle_jax.config import Config
from uncle_jax.core import convolution, precision
from uncle_jax.core.interning import interned
from uncle_jax.core.layout import Layout, make_layout


class Block(nn.Module):
    """Basic residual block: two 3x3 convolutions (He et al. 2016)."""

    features: int
    stride: int
    momentum: float

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        y = conv(self.features, 3, self.stride)(x)
        y = nn.relu(norm(self.momentum)(y, use_running_average=not train))
        y = conv(self.features, 3)(y)
        y = norm(self.momentum)(y, use_running_average=not train)
        return nn.relu(shortcut(x, y, self.stride, self.momentum, train) + y)


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 with the stride on the 3x3 and four times the features out."""

    features: int
    stride: int
    momentum: float

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        y = conv(self.features, 1)(x)
        y = nn.relu(norm(self.momentum)(y, use_running_average=not train))
        y = conv(self.features, 3, self.stride)(y)
        y = nn.relu(norm(self.momentum)(y, use_running_average=not train))
        y = conv(4 * self.features, 1)(y)
        y = norm(self.momentum)(y, use_running_average=not train)
        return nn.relu(shortcut(x, y, self.stride, self.momentum, train) + y)


class ResNet(nn.Module):
    """Stem, stages of blocks at doubling widths, global average pool, linear classifier."""

    blocks: tuple[int, ...]
    block: type[Block] | type[Bottleneck]
    n_classes: int
    width: int = 64
    stem: str = "imagenet"
    momentum: float = 0.9

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:  # [B, H, W, D] -> [B, Y]
        size, stride = {"imagenet": (7, 2), "strided": (3, 2), "small": (3, 1)}[self.stem]
        x = conv(self.width, size, stride)(x)
        x = nn.relu(norm(self.momentum)(x, use_running_average=not train))
        if self.stem == "imagenet":
            pad: Any = ((1, 1), (1, 1))  # typed as str alone in flax
            x = nn.max_pool(x, (3, 3), (2, 2), pad)
        for stage, depth in enumerate(self.blocks):
            for index in range(depth):
                stride = 2 if stage > 0 and index == 0 else 1
                x = self.block(self.width * 2**stage, stride, self.momentum)(x, train)
        return nn.Dense(self.n_classes)(x.mean((1, 2)))


def conv(features: int, size: int, stride: int = 1, name: str | None = None) -> nn.Conv:
    """A convolution without bias, padded by half its size on each side."""
    pad = size // 2
    return nn.Conv(features, (size, size), stride, ((pad, pad),) * 2, use_bias=False, name=name)


def norm(momentum: float, name: str | None = None) -> nn.BatchNorm:
    """Batch normalisation; running statistics live in `batch_stats`, outside the module."""
    return nn.BatchNorm(momentum=momentum, epsilon=1e-5, name=name)


def shortcut(x: Array, y: Array, stride: int, momentum: float, train: bool) -> Array:
    """x, projected by 1x1 convolution and norm where y has another shape (kind "residual")."""
    if x.shape == y.shape:
        return x
    x = conv(y.shape[-1], 1, stride, name="proj_conv")(x)
    return norm(momentum, name="proj_norm")(x, use_running_average=not train)


def plan(module: nn.Module, image_shape: tuple[int, ...], chunks: int) -> tuple[Layout, Any]:
    """The layout of `module`'s parameters and its fresh norm statistics, without computing any.

    `module` is any Linen module called as `module(x, train=...)` on [B, *image_shape] float32. Its
    statistics are the collection `batch_stats` ({} if it has none): means 0, variances 1.
    """
    shapes = _shapes(module, tuple(image_shape))
    stats = jax.tree_util.tree_map_with_path(
        # By NumPy: jnp.ones compiles a program for each shape.
        lambda path, a: jnp.asarray(np.full(a.shape, path[-1].key == "var", a.dtype)),
        shapes.get("batch_stats", {}),
    )
    return make_layout(shapes["params"], chunks), stats


@interned
def _shapes(module: nn.Module, image_shape: tuple[int, ...]) -> Any:
    """The shapes of `module`'s variables; once a module, since a large one takes a second."""
    x = jax.ShapeDtypeStruct((1, *image_shape), jnp.float32)
    return jax.eval_shape(lambda x: module.init(jax.random.key(0), x, train=False), x)


class Main(Protocol):
    """A main network with its settings, as whoever trains one has it."""

    @property
    def module(self) -> nn.Module: ...

    @property
    def config(self) -> Config: ...


def apply(
    net: Main,
    theta: Mapping[str, Any],
    stats: Any,
    x: Array,
    train: bool,
    batch_stats: bool | None = None,
) -> tuple[Array, Any]:
    """F(x; theta): float32 logits [B, Y] and the statistics after this batch.

    Training uses the batch's statistics and moves the running ones; otherwise the running ones are
    used and kept, or with `batch_stats` (the settings' if None) the batch's (the authors'
    evaluation). Computes in the settings' precision.
    """
    if batch_stats is None:
        batch_stats = not net.config.batch_independent
    theta, x = precision.lowered((theta, x), net.config.precision)
    variables = {"params": theta, "batch_stats": stats}
    moved: Mapping[str, Any] = {}
    with convolution.as_suited():
        if train or batch_stats:
            logits, moved = net.module.apply(variables, x, train=True, mutable=["batch_stats"])
        else:
            logits = net.module.apply(variables, x, train=False)
    return precision.raised(logits), moved.get("batch_stats", stats) if train else stats
