"""A main network of one's own, in one file: any Linen module that takes (x, train=...).

python experiments/run.py --main-net experiments/own_network.py:Mixer
"""

import flax.linen as nn
import jax.numpy as jnp


class Mixer(nn.Module):
    """Two layers of patches mixed with each other, then channels (Tolstikhin et al. 2021)."""

    n_classes: int
    width: int = 32
    patch: int = 2  # pixels a side

    @nn.compact
    def __call__(self, x, train):  # [B, H, W, D] -> [B, Y]
        patch = (self.patch, self.patch)
        x = nn.Conv(self.width, patch, strides=patch)(x)
        x = x.reshape(len(x), -1, self.width)  # [B, N, E]
        for _ in range(2):
            across = nn.LayerNorm()(x).swapaxes(1, 2)
            x = x + _mlp(across, 2 * across.shape[-1]).swapaxes(1, 2)
            x = x + _mlp(nn.LayerNorm()(x), 2 * self.width)
        return nn.Dense(self.n_classes)(jnp.mean(nn.LayerNorm()(x), axis=1))


def _mlp(x, width):
    return nn.Dense(x.shape[-1])(nn.gelu(nn.Dense(width)(x)))
