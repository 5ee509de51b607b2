"""The baselines' network: one backbone, a head per task (Appendix G: "different heads are used").

Shapes: B batch, T tasks, Y classes of a task, D channels. Logits and everything made of them are a
sample's own task's Y; heads are the columns [T * Y] of the module's last dense layer.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from uncle_jax.config import Config
from uncle_jax.core import backbones, heads, resnet
from uncle_jax.core.inputs import (
    fit_images,
    input_shape,
    logits_of,
    resident,
    rows_at,
)
from uncle_jax.core.interning import interned
from uncle_jax.core.pieces import piece
from uncle_jax.tasks import Data, InputSpec, as_data

ABSENT = -1e9
"""The logit of a class that a task does not have: finite, so that 0 times it is 0 in a loss."""


class Model(NamedTuple):
    """A network's parameters and running norm statistics (one set for all tasks, as in torch)."""

    params: Any
    stats: Any


class Rows(NamedTuple):
    """Labelled images of several tasks, fitted to the network's input."""

    images: Any  # [N, H, W, D] uint8 in 0..255 or float in 0..1
    labels: Any  # [N] int32
    tasks: Any  # [N] int32


class Request(NamedTuple):
    """An unlearn request as an algorithm sees it; what it may not read is None."""

    task: int  # the one to forget
    retained: tuple[int, ...]
    forget: Rows | None
    retain: Rows | None
    classes: tuple[int, ...] = ()  # of `task`, which is retained without them; (): all of it goes


@dataclass(frozen=True, eq=False)
class MultiHead:
    """What is static: the module with T * Y outputs, and each task's input; equal only to itself.

    Jitted functions take it as a static argument.
    """

    module: nn.Module
    spec: InputSpec
    shape: tuple[int, int, int]  # [H, W, D] of its input
    n_tasks: int
    n_classes: int  # Y
    mean: np.ndarray  # [T, D] of images scaled to 0..1
    std: np.ndarray  # [T, D]
    valid: np.ndarray  # [T, Y] classes that a task has
    config: Config


@interned
def multihead(
    spec: InputSpec, n_tasks: int, config: Config, main_net: nn.Module | None
) -> MultiHead:
    """The network for `n_tasks` tasks; `main_net`: any Linen module with T * Y outputs.

    None: UnCLe's main network for the same `config`, with a head a task.
    """
    shape = input_shape(spec, config.image_size)
    module = backbones.main_network(main_net, config, shape, n_tasks * spec.n_classes)
    tasks = [spec.task(task) for task in range(n_tasks)]
    mean, std = (
        np.stack([np.broadcast_to(np.asarray(v, np.float32), shape[-1:]) for v in column])
        for column in ([t.mean for t in tasks], [t.std for t in tasks])
    )
    valid = np.arange(spec.n_classes) < np.array([[t.n_classes] for t in tasks])
    return MultiHead(module, spec, shape, n_tasks, spec.n_classes, mean, std, valid, config)


def init(net: MultiHead, key: Array) -> Model:
    """A freshly drawn model (flax's initialisers)."""
    variables = net.module.init(key, jnp.zeros((1, *net.shape)), train=False)
    return Model(variables["params"], variables.get("batch_stats", {}))


@piece(static_argnums=0)
def drawn(net: MultiHead, key: Array) -> Model:
    """`init`, compiled."""
    return init(net, key)


def normalise(net: MultiHead, images: Array, tasks: Array) -> Array:
    """float32 input from images [B, H, W, D], uint8 in 0..255 or float in 0..1, of `tasks` [B]."""
    x = images.astype(jnp.float32)
    if images.dtype == jnp.uint8:
        x = x / 255
    mean, std = (jnp.asarray(v)[tasks][:, None, None, :] for v in (net.mean, net.std))
    return (x - mean) / std


def pick(net: MultiHead, outputs: Array, tasks: Array) -> Array:
    """Each sample's own head's logits [B, Y] of the outputs [B, T * Y]."""
    heads = outputs.reshape(len(outputs), net.n_tasks, net.n_classes)
    logits = jnp.take_along_axis(heads, tasks[:, None, None], axis=1)[:, 0]
    return jnp.where(jnp.asarray(net.valid)[tasks], logits, ABSENT)


def forward(
    net: MultiHead, params: Any, stats: Any, images: Array, tasks: Array, train: bool
) -> tuple[Array, Any]:
    """(logits [B, Y] of each sample's task, norm statistics after) of images [B, H, W, D].

    `train`: the batch's statistics, which move the running ones; otherwise the running ones (or
    with `norm_stats=batch` the batch's), which stay.
    """
    x = normalise(net, images, tasks)
    outputs, stats = resnet.apply(net, params, stats, x, train)
    return pick(net, outputs, tasks), stats


@piece(static_argnums=0)
def predict(net: MultiHead, model: Model, images: Array, tasks: Array) -> Array:
    """Logits [B, Y] as at test, of fitted images [B, H, W, D]."""
    return forward(net, *model, images, tasks, train=False)[0]


def task_logits(net: MultiHead, model: Model, task: int, images: Any) -> Array:
    """Logits [N, Y] of `task`'s head of any images that fit the spec. Raises UncleError."""
    size, mixed = net.config.eval_batch_size, not net.config.batch_independent

    def answer(x: Array) -> Array:
        return predict(net, model, x, np.full(len(x), task, np.int32))

    return logits_of(answer, images, net.spec, net.shape, size, mixed)


def answer(net: MultiHead, model: Model, task: int, images: Any) -> Array:
    """`task_logits`, but minus infinity for classes that the task does not have."""
    return jnp.where(jnp.asarray(net.valid[task]), task_logits(net, model, task, images), -jnp.inf)


def head_mask(net: MultiHead, params: Any, task: int) -> Any:
    """A tree like `params`: True where a value belongs to `task`'s head.

    Raises UncleError unless exactly one dense layer has T * Y outputs.
    """
    width = net.n_tasks * net.n_classes
    home = heads.home(params, width, "tasks x classes")
    own = np.arange(width) // net.n_classes == task

    def mask(path: Any, leaf: Any) -> np.ndarray:
        return np.broadcast_to(own if path[:-1] == home else False, leaf.shape)

    return jax.tree_util.tree_map_with_path(mask, params)


def redraw_head(net: MultiHead, params: Any, task: int, key: Array) -> Any:
    """`params` with `task`'s head drawn anew."""
    fresh = init(net, key).params
    mask = head_mask(net, params, task)
    return jax.tree.map(lambda m, a, b: jnp.where(m, a, b), mask, fresh, params)


def rows_of(rows: Rows) -> Callable[[np.ndarray], Rows]:
    """index [B] -> Rows [B], gathered where the images are."""
    return partial(rows_at, resident(rows))


def fitted(net: MultiHead, task: int, data: Data) -> Rows:
    """`data` of `task`, checked, on the device and fitted to the network's input.

    Raises UncleError for data that do not fit the spec.
    """
    images, labels = as_data(data, net.spec, f"task {task}", task)
    return one_task(fit_images(images, net.shape), labels, task)


def one_task(images: Any, labels: Any, task: int) -> Rows:
    """Rows of a single task."""
    return Rows(images, jnp.asarray(labels, jnp.int32), jnp.full(len(labels), task, jnp.int32))


def join(*parts: Rows) -> Rows:
    """All rows, one part after the other; images in floats where any part's are."""
    if len({part.images.dtype for part in parts}) > 1:
        parts = tuple(part._replace(images=_as_float(part.images)) for part in parts)
    return Rows(*(jnp.concatenate(column) for column in zip(*parts, strict=True)))


def _as_float(images: Any) -> Array:
    images = jnp.asarray(images)
    return images.astype(jnp.float32) / 255 if images.dtype == jnp.uint8 else images
