"""Images as the network wants them: checked, resized, gathered and normalised on the device."""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

from uncle_jax.tasks import InputSpec, check_images

T = TypeVar("T")
FEW = 128  # images: what a batch of fewer than asked is a multiple of, so that sizes are few


class TaskInput(NamedTuple):
    """One task's normalisation and number of classes, as arrays: no trace depends on them."""

    mean: Array  # [D] of images scaled to 0..1
    std: Array  # [D]
    n_classes: Array  # int32; logits from here on are masked


def task_input(spec: InputSpec, task: int, shape: tuple[int, ...]) -> TaskInput:
    """The TaskInput of `task` for fitted images of `shape` [H, W, D]."""
    one = spec.task(task)
    mean, std = (jnp.broadcast_to(jnp.asarray(v), shape[-1:]) for v in (one.mean, one.std))
    return TaskInput(mean, std, jnp.asarray(one.n_classes, jnp.int32))


def input_shape(spec: InputSpec, image_size: int | None) -> tuple[int, int, int]:
    """[H, W, D] of the main network's input; with `image_size` square RGB, as the authors' is."""
    return spec.image_shape if image_size is None else (image_size, image_size, 3)


def fit_images(images: Any, shape: tuple[int, int, int], block: int = 1024) -> Array:
    """Images [N, h, w, d] on the device, resized (bilinear, antialiased) and repeated to `shape`.

    Once a request, not once a step. What is resized is float32 in 0..1, not rounded to grey levels:
    the authors resize tensors. What fits already stays as it is.
    """
    images = jnp.asarray(images)
    if images.shape[1:] == tuple(shape) or not len(images):
        return images
    # Blocks of one size, the last filled up: one trace, and little memory beside the result.
    block = min(block, len(images))
    index = np.arange(math.ceil(len(images) / block) * block) % len(images)
    parts = [_fit(images[part], tuple(shape)) for part in index.reshape(-1, block)]
    return jnp.concatenate(parts)[: len(images)]


def logits_of(
    function: Callable[[Array], Array],
    images: Any,
    spec: InputSpec,
    shape: tuple[int, int, int],
    size: int,
    mixed: bool = False,
) -> Array:
    """Logits [N, Y] by `function` ([B, *shape] -> [B, Y]) of any images that fit `spec`.

    Batches have `size` images, or where there are fewer a multiple of FEW that holds all. `mixed`:
    batches of `size` are made in an order drawn once for so many images, for a function whose
    answer to an image depends on its batch: test images come sorted by class. Raises UncleError for
    images that do not fit.
    """
    if not isinstance(images, jax.Array):
        images = np.asarray(images)
    check_images(images, spec)
    n = len(images)
    if not n:
        return jnp.zeros((0, spec.n_classes))
    images = fit_images(images, shape)
    order = np.random.RandomState(0).permutation(n) if mixed else np.arange(n)
    if not mixed:  # whose batches decide the answer
        size = min(size, FEW * math.ceil(n / FEW))
    # The last batch is filled up with the first images again: one shape, one trace.
    batches = np.resize(order, (math.ceil(n / size), size))
    found = jnp.concatenate([function(images[index]) for index in batches])[:n]
    return found[np.argsort(order)] if mixed else found


@functools.partial(jax.jit, static_argnames="shape")
def _fit(images: Array, shape: tuple[int, int, int]) -> Array:
    x = images
    if x.shape[1:3] != shape[:2]:
        x = x.astype(jnp.float32) / (255 if images.dtype == jnp.uint8 else 1)
        x = jax.image.resize(x, (len(x), *shape[:2], x.shape[-1]), "bilinear")
    return jnp.repeat(x, shape[-1] // x.shape[-1], axis=-1)


def on_host(array: Any) -> bool:
    """Whether NumPy reads `array` where it is: it is no jax.Array, or one of a CPU."""
    if not isinstance(array, Array):
        return True
    return all(device.platform == "cpu" for device in array.devices())


def resident(arrays: T) -> T:
    """A tree of arrays [N, ...] where `rows_at` gathers fastest: on a CPU as NumPy's, not copied.

    XLA's gather goes byte by byte there, which took a tenth of a small step.
    """
    here = jax.default_backend() == "cpu" and all(map(on_host, jax.tree.leaves(arrays)))
    return jax.tree.map(np.asarray if here else jnp.asarray, arrays)


def rows_at(arrays: T, index: Any) -> T:
    """The rows `index` [B] of each of a tree of arrays [N, ...], gathered where the arrays are."""
    leaves = jax.tree.leaves(arrays)
    if any(isinstance(a, jax.Array) for a in leaves) and not isinstance(index, Tracer):
        return _gather(arrays, index)
    return jax.tree.map(lambda a: a[index], arrays)


def batches_of(*arrays: Array) -> Callable[[np.ndarray], tuple[Any, ...]]:
    """index [B] -> the rows `index` of each array [N, ...], gathered where the arrays are."""
    return functools.partial(rows_at, resident(arrays))


@jax.jit
def _gather(arrays: Any, index: Array) -> Any:
    return jax.tree.map(lambda array: array[index], arrays)


def normalise(images: Array, task: TaskInput) -> Array:
    """float32 input from images [B, H, W, D], uint8 in 0..255 or float in 0..1."""
    x = images.astype(jnp.float32)
    if images.dtype == jnp.uint8:
        x = x / 255
    return (x - task.mean) / task.std


def mask_logits(logits: Array, task: TaskInput) -> Array:
    """Logits [B, Y] with those of classes that the task does not have at minus infinity."""
    return jnp.where(jnp.arange(logits.shape[-1]) < task.n_classes, logits, -jnp.inf)
