"""What is static in a learner: the main network, its layout, the settings, the optimisers."""

import dataclasses
import functools
from typing import Any

import flax.linen as nn
import numpy as np
import optax

from uncle_jax.config import Config, Hypernetwork
from uncle_jax.core import hypernet, resnet
from uncle_jax.core.interning import interned
from uncle_jax.core.layout import Kind, Layout


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """What is static: the main network, its layout, and the settings.

    Hashed by identity, which costs a step nothing; `network` makes one for equal arguments.
    """

    module: nn.Module
    shape: tuple[int, int, int]  # [H, W, D] of the main network's input
    layout: Layout
    fresh: Any  # norm statistics that have seen nothing
    config: Config
    hyper: Hypernetwork

    @functools.cached_property
    def drift_gains(self) -> dict[Kind, np.ndarray] | None:
        """{kind: [W]} that outputs are scaled by where the drift is measured in theta."""
        if self.hyper.output_space != "theta":
            return None
        return hypernet.gains(self.layout, self.hyper.parametrisation)

    @functools.cached_property
    def shared_optimiser(self) -> optax.GradientTransformation:
        """Of phi and the chunk embeddings."""
        return optimiser(self.hyper.clip_norm)

    @functools.cached_property
    def own_optimiser(self) -> optax.GradientTransformation:
        """Of a task's embedding, which is not clipped (authors' code)."""
        return optimiser(None)


@interned
def network(
    module: nn.Module, shape: tuple[int, int, int], config: Config, hyper: Hypernetwork
) -> Network:
    """The Network of `module` on images [H, W, D]: the same one for equal arguments.

    So the steps of a second learner with equal settings are compiled already.
    """
    layout, fresh = resnet.plan(module, shape, hyper.chunks)
    return Network(module, shape, layout, fresh, config, hyper)


def optimiser(clip_norm: float | None) -> optax.GradientTransformation:
    """Adam's direction, after clipping by global norm; the step applies the learning rate."""
    clip = optax.identity() if clip_norm is None else optax.clip_by_global_norm(clip_norm)
    return optax.chain(clip, optax.scale_by_adam())
