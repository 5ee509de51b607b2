"""hypnettorch's own unlearning step, timed: the PyTorch side of benchmarks/drift.py.

T retained tasks have conditional embeddings 0..T-1, the forgotten one has T; P values of theta.
hypnettorch runs as published, through its public API, on the CPU in float32. Nothing of torch is
imported until a function is called.
"""

import math
import time
from collections.abc import Sequence
from importlib import metadata
from typing import Any, NamedTuple

GAMMA = 0.01  # weight of the alignment with noise
SAMPLES = 10  # noise samples, collapsed to one draw of their mean
CLIP_NORM = 1.0
LEARNING_RATE = 1e-3


class Library(NamedTuple):
    """What is used of torch and hypnettorch."""

    torch: Any
    hypernet: Any  # the class ChunkedHMLP
    targets: Any  # get_current_targets
    regulariser: Any  # calc_fix_target_reg


def _library() -> Library:
    """torch and hypnettorch, or one line that says how to install them."""
    try:
        import torch  # pyright: ignore[reportMissingImports]
        from hypnettorch.hnets import ChunkedHMLP  # pyright: ignore[reportMissingImports]
        from hypnettorch.utils import hnet_regularizer  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(f'{error}: pip install "uncle-jax[bench]"') from error
    return Library(
        torch,
        ChunkedHMLP,
        hnet_regularizer.get_current_targets,
        hnet_regularizer.calc_fix_target_reg,
    )


def versions() -> dict[str, str | int]:
    """What a measurement depends on: versions of torch and hypnettorch, and torch's threads."""
    torch = _library().torch
    return {
        "torch": torch.__version__,
        "hypnettorch": metadata.version("hypnettorch"),
        "threads": torch.get_num_threads(),
    }


def seconds_per_step(
    shapes: Sequence[tuple[int, ...]],
    tasks: int,
    *,
    chunks: int = 200,
    trunk: tuple[int, ...] = (128, 256, 512),
    embedding: int = 32,
    repeats: int = 5,
    seed: int = 0,
) -> list[float]:
    """One warm-up step, then `repeats` timed steps; seconds of each.

    `shapes` are theta's; `tasks` is T >= 1. A step: loss, backward, clipping, Adam on everything
    but the task embeddings. The targets, [T, P] (4 T P bytes), are computed before the clock runs.
    """
    torch, hypernet_class, current_targets, fix_target_reg = _library()
    torch.manual_seed(seed)
    values = sum(math.prod(shape) for shape in shapes)
    hypernet = hypernet_class(
        [list(shape) for shape in shapes],
        math.ceil(values / chunks),
        chunk_emb_size=embedding,
        cond_in_size=embedding,
        layers=trunk,
        num_cond_embs=tasks + 1,
        verbose=False,
    )
    for task_emb in hypernet.conditional_params:
        task_emb.requires_grad_(False)
    phi = hypernet.unconditional_params
    adam = torch.optim.Adam(phi, lr=LEARNING_RATE)
    targets = current_targets(tasks, hypernet)

    def step() -> None:
        adam.zero_grad()
        noise = torch.randn(1, values) / math.sqrt(SAMPLES)
        out = hypernet.forward(cond_id=tasks, ret_format="flattened")
        forget = (out - noise).pow(2).sum()
        loss = GAMMA * forget + fix_target_reg(hypernet, tasks, targets=targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(phi, CLIP_NORM)
        adam.step()

    step()
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    return seconds
