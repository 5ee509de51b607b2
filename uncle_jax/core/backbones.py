"""Main networks by name: the ResNets, the vit, or one's own from a file."""

from typing import Any

import flax.linen as nn

from uncle_jax import own
from uncle_jax.config import Config
from uncle_jax.core import checks
from uncle_jax.core.resnet import Block, Bottleneck, ResNet
from uncle_jax.core.vit import PATCH, ViT
from uncle_jax.errors import UncleError, raised

RESNETS = {
    "resnet18": ((2, 2, 2, 2), Block),
    "resnet50": ((3, 4, 6, 3), Bottleneck),
    "thin": ((1, 1, 1), Block),
}


def main_network(
    given: nn.Module | None, config: Config, shape: tuple[int, ...], n_outputs: int
) -> nn.Module:
    """`given`, or the network that `config.backbone` names, on images [H, W, D]; one's own checked.

    Raises UncleError (core/checks.py).
    """
    module = from_config(config, n_outputs) if given is None else given
    if given is not None or own.named(config.backbone):
        checks.main_network(module, shape, n_outputs)
    return module


def from_config(config: Config, n_classes: int) -> nn.Module:
    """The network that `config.backbone` names, with `n_classes` outputs. Raises UncleError.

    One's own, FILE.py:NAME, is called as NAME(n_classes=...) and returns a Linen module.
    """
    if own.named(config.backbone):
        return _called(config.backbone, n_classes)
    if config.backbone == "vit":
        return ViT(n_classes, config.width, PATCH[config.stem])
    blocks, block = RESNETS[config.backbone]
    return ResNet(blocks, block, n_classes, config.width, config.stem, config.norm_momentum)


def source(config: Config) -> dict[str, Any] | None:
    """The code of a main network of one's own, by content; None for this package's."""
    if not own.named(config.backbone):
        return None
    return own.source(own.load(config.backbone, "main network"))


def _called(name: str, n_classes: int) -> nn.Module:
    make = own.load(name, "main network")
    try:
        return make(n_classes=n_classes)
    except Exception as error:
        call = f"{own.short(name)}(n_classes={n_classes})"
        raise UncleError(
            f"main network {name!r} cannot be made as {call} ({raised(error)})"
        ) from error
