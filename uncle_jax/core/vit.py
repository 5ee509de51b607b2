"""A small vision transformer as main network (Dosovitskiy et al. 2021), without batch statistics.

Shapes: B batch, N patches, E width, D channels, Y classes. Its mean over patches is classified, as
in Beyer et al. 2022, so it has no class token. Kernels are matrices with their outputs last, so
that the generated ones have He's variance; norms come first in each block.
"""

import math

import flax.linen as nn
import jax.numpy as jnp
from jax import Array

PATCH = {"imagenet": 8, "strided": 4, "small": 2}  # pixels a side, by `stem`
DEPTH = 4
HEAD = 16  # width of an attention head, where it divides the whole


class Attention(nn.Module):
    """Multi-head self-attention over patches."""

    @nn.compact
    def __call__(self, x: Array) -> Array:  # [B, N, E] -> [B, N, E]
        width = x.shape[-1]
        heads = math.gcd(width, max(width // HEAD, 1))  # all of one width
        q, k, v = (
            nn.Dense(width, name=name)(x).reshape(*x.shape[:2], heads, -1)
            for name in ("query", "key", "value")
        )
        scores_BxHxNxN = jnp.einsum("bnhe,bmhe->bhnm", q, k) / jnp.sqrt(q.shape[-1])
        mixed = jnp.einsum("bhnm,bmhe->bnhe", nn.softmax(scores_BxHxNxN), v)
        return nn.Dense(width, name="out")(mixed.reshape(x.shape))


class Block(nn.Module):
    """Attention, then two layers, each after a norm and added to what came in."""

    @nn.compact
    def __call__(self, x: Array) -> Array:  # [B, N, E] -> [B, N, E]
        width = x.shape[-1]
        x = x + Attention()(nn.LayerNorm()(x))
        y = nn.gelu(nn.Dense(2 * width)(nn.LayerNorm()(x)))
        return x + nn.Dense(width)(y)


class ViT(nn.Module):
    """Patches, positions, blocks, the mean over patches, linear classifier."""

    n_classes: int
    width: int = 64
    patch: int = 4
    depth: int = DEPTH

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:  # [B, H, W, D] -> [B, Y]
        del train  # nothing differs: no batch statistics, no dropout
        batch, size = len(x), (self.patch, self.patch)
        x = nn.Conv(self.width, size, size, name="patches")(x).reshape(batch, -1, self.width)
        places = nn.Embed(x.shape[1], self.width, name="positions")(jnp.arange(x.shape[1]))
        x = x + places
        for _ in range(self.depth):
            x = Block()(x)
        return nn.Dense(self.n_classes)(nn.LayerNorm()(x).mean(1))
