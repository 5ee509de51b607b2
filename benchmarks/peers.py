"""The PyTorch side of benchmarks/steps.py: hypnettorch as published, and the plain network.

The same sizes, batch and number of retained tasks, on the CPU in float32, by hypnettorch's public
API. `flat` gives it theta as one array, which spares it the slicing; as its users have it, every
parameter is an array of its own. Nothing of torch is imported until a function is called.
"""

import math
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any, NamedTuple

from uncle_jax.config import Config, Uncle

MISSING = 'pip install "uncle-jax[bench]"'
DEPTHS = {"thin": (1, 1, 1), "resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}


class Library(NamedTuple):
    """What is used of torch and hypnettorch."""

    torch: Any
    hypernet: Any  # the class ChunkedHMLP
    targets: Any  # get_current_targets
    regulariser: Any  # calc_fix_target_reg


def library() -> Library:
    """torch and hypnettorch, or ImportError with one line that says how to install them."""
    try:
        import torch  # pyright: ignore[reportMissingImports]
        from hypnettorch.hnets import ChunkedHMLP  # pyright: ignore[reportMissingImports]
        from hypnettorch.utils import hnet_regularizer  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(f"{error}: {MISSING}") from error
    targets, regulariser = (
        hnet_regularizer.get_current_targets,
        hnet_regularizer.calc_fix_target_reg,
    )
    return Library(torch, ChunkedHMLP, targets, regulariser)


def versions() -> dict[str, str | int]:
    """What a measurement depends on: versions of torch and hypnettorch, and torch's threads."""
    torch = library().torch
    return {
        "torch": torch.__version__,
        "hypnettorch": metadata.version("hypnettorch"),
        "torch_threads": torch.get_num_threads(),
    }


def resnet(config: Config, depth: int, n_classes: int) -> Any:
    """The torch.nn.Module of uncle_jax.core.resnet's ResNet on images with `depth` channels."""
    torch = library().torch
    nn = torch.nn
    bottleneck = config.backbone == "resnet50"

    def conv(n_in: int, n_out: int, size: int, stride: int = 1) -> Any:
        return nn.Conv2d(n_in, n_out, size, stride, size // 2, bias=False)

    def branch(n_in: int, width: int, stride: int) -> tuple[Any, int]:
        if not bottleneck:
            layers = [conv(n_in, width, 3, stride), nn.BatchNorm2d(width), nn.ReLU()]
            return nn.Sequential(*layers, conv(width, width, 3), nn.BatchNorm2d(width)), width
        layers = [conv(n_in, width, 1), nn.BatchNorm2d(width), nn.ReLU()]
        layers += [conv(width, width, 3, stride), nn.BatchNorm2d(width), nn.ReLU()]
        n_out = 4 * width
        return nn.Sequential(*layers, conv(width, n_out, 1), nn.BatchNorm2d(n_out)), n_out

    class Block(nn.Module):
        def __init__(self, n_in: int, width: int, stride: int) -> None:
            super().__init__()
            self.branch, self.n_out = branch(n_in, width, stride)
            self.shortcut = None
            if stride != 1 or n_in != self.n_out:
                parts = conv(n_in, self.n_out, 1, stride), nn.BatchNorm2d(self.n_out)
                self.shortcut = nn.Sequential(*parts)

        def forward(self, x: Any) -> Any:
            short = x if self.shortcut is None else self.shortcut(x)
            return torch.relu(short + self.branch(x))

    size, stride = {"imagenet": (7, 2), "strided": (3, 2), "small": (3, 1)}[config.stem]
    layers = [conv(depth, config.width, size, stride), nn.BatchNorm2d(config.width), nn.ReLU()]
    if config.stem == "imagenet":
        layers.append(nn.MaxPool2d(3, 2, 1))
    n_in = config.width
    for stage, blocks in enumerate(DEPTHS[config.backbone]):
        for index in range(blocks):
            block = Block(n_in, config.width * 2**stage, 2 if stage and not index else 1)
            layers.append(block)
            n_in = block.n_out
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(n_in, n_classes)]
    return nn.Sequential(*layers)


class Batch(NamedTuple):
    """A batch of learning, as torch has it."""

    images: Any  # [B, D, H, W] float32, normalised
    labels: Any  # [B]


def batch(config: Config, shape: tuple[int, int, int], n_classes: int) -> Batch:
    """A batch of noise of images [H, W, D]."""
    torch = library().torch
    x = torch.randn(config.batch_size, shape[2], *shape[:2])
    return Batch(x, torch.arange(config.batch_size) % n_classes)


def plain(config: Config, shape: tuple[int, int, int], n_classes: int) -> Callable[[], None]:
    """A step of the network with weights of its own: loss, backward, Adam."""
    torch = library().torch
    net, given = resnet(config, shape[2], n_classes), batch(config, shape, n_classes)
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)

    def step() -> None:
        adam.zero_grad()
        torch.nn.functional.cross_entropy(net(given.images), given.labels).backward()
        adam.step()

    return step


def hypnettorch(
    config: Config,
    settings: Uncle,
    shape: tuple[int, int, int],
    n_classes: int,
    tasks: int,
    size: int,
    flat: bool,
) -> Mapping[str, Callable[[], None]]:
    """{"learn", "unlearn"}: a step of task T while tasks 0..T-1, T >= 1, are retained.

    A step: loss, backward, clipping, Adam on the shared parameters (and, learning, the task's
    embedding). The targets, [T, P] (4 T P bytes), are computed once. `size`: P, to compare with.
    """
    torch, hypernet_class, current_targets, regulariser = library()
    torch.manual_seed(0)
    net = resnet(config, shape[2], n_classes)
    names, arrays = zip(*net.named_parameters(), strict=True)
    shapes = [list(a.shape) for a in arrays]
    assert sum(map(math.prod, shapes)) == size, "another network than uncle_jax's"
    given = batch(config, shape, n_classes)
    hypernet = hypernet_class(
        [[size]] if flat else shapes,
        math.ceil(size / settings.chunks),
        chunk_emb_size=settings.embedding,
        cond_in_size=settings.embedding,
        layers=settings.trunk,
        num_cond_embs=tasks + 1,
        verbose=False,
    )
    for index, task_emb in enumerate(hypernet.conditional_params):
        task_emb.requires_grad_(index == tasks)
    phi, own = hypernet.unconditional_params, hypernet.conditional_params[tasks]
    adam = torch.optim.Adam([*phi, own], lr=1e-3)
    targets = current_targets(tasks, hypernet)

    def weights() -> dict[str, Any]:
        out = hypernet.forward(cond_id=tasks)
        if flat:
            parts = out[0].split([math.prod(s) for s in shapes])
            out = [part.view(s) for part, s in zip(parts, shapes, strict=True)]
        return dict(zip(names, out, strict=True))

    def descend(loss: Any) -> None:
        loss.backward()
        torch.nn.utils.clip_grad_norm_(phi, settings.clip_norm or math.inf)
        adam.step()

    def learn() -> None:
        adam.zero_grad()
        logits = torch.func.functional_call(net, weights(), (given.images,))
        fit = torch.nn.functional.cross_entropy(logits, given.labels)
        descend(fit + settings.beta * regulariser(hypernet, tasks, targets=targets))

    def unlearn() -> None:
        adam.zero_grad()
        noise = torch.randn(1, size) / math.sqrt(settings.noise_samples)
        out = hypernet.forward(cond_id=tasks, ret_format="flattened")
        forget = (out - noise).pow(2).sum()
        descend(settings.gamma * forget + regulariser(hypernet, tasks, targets=targets))

    return {"learn": learn, "unlearn": unlearn}
