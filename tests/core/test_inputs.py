"""What brings a task's images to the main network, and what its surplus classes do."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import HYPER, SPEC, TINY, Small
from PIL import Image

from uncle_jax.core.inputs import (
    _gather,
    batches_of,
    fit_images,
    logits_of,
    mask_logits,
    normalise,
    task_input,
)
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.accuracy import evaluate
from uncle_jax.methods.uncle import uncle
from uncle_jax.tasks import Data, InputSpec, TaskSpec


@pytest.mark.parametrize(("size", "target"), [((28, 28), (64, 64)), ((32, 32), (20, 24))])
def test_resizing_is_of_floats_and_not_rounded(size, target):
    """The authors resize tensors, antialiased: what PIL makes of floats, between grey levels."""
    image = np.random.RandomState(0).randint(0, 256, (*size, 3), np.uint8)
    ours = np.asarray(fit_images(image[None], (*target, 3)))[0]
    how = target[::-1], Image.Resampling.BILINEAR
    bands = [Image.fromarray(image[..., i].astype(np.float32)).resize(*how) for i in range(3)]
    expected = np.stack([np.asarray(band) for band in bands], -1) / 255
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    assert np.max(np.abs(255 * ours - np.round(255 * ours))) > 0.4
    floats = fit_images(image[None].astype(np.float32) / 255, (*target, 3))[0]
    np.testing.assert_allclose(ours, floats, atol=1e-6)


def test_blocks_do_not_show():
    images = np.random.RandomState(0).randint(0, 256, (11, 5, 5, 1), np.uint8)
    whole = fit_images(images, (8, 8, 3))
    assert whole.shape == (11, 8, 8, 3)
    np.testing.assert_allclose(whole, fit_images(images, (8, 8, 3), block=4), atol=1e-6)
    np.testing.assert_array_equal(whole[..., 0], whole[..., 2])


def test_images_that_fit_stay_as_they_are():
    images = np.random.RandomState(0).rand(3, 6, 6, 1).astype(np.float32)
    np.testing.assert_array_equal(fit_images(images, (6, 6, 1)), images)
    grey = np.full((2, 6, 6, 1), 200, np.uint8)
    np.testing.assert_array_equal(fit_images(grey, (6, 6, 3)), np.repeat(grey, 3, -1))
    assert fit_images(grey, (6, 6, 3)).dtype == np.uint8


def test_each_task_is_normalised_by_its_own_constants():
    tasks = (TaskSpec(3, (0.5,), (0.25,)), TaskSpec(2, (0.1,), (0.2,)))
    spec = InputSpec((2, 2, 1), 3, (0.0,), (1.0,), tasks)
    images = np.full((1, 2, 2, 1), 255, np.uint8)
    for task, expected in enumerate(((1 - 0.5) / 0.25, (1 - 0.1) / 0.2)):
        x = normalise(jnp.asarray(images), task_input(spec, task, spec.image_shape))
        np.testing.assert_allclose(x, expected, rtol=1e-6)
    # uint8 and floats in 0..1 are the same images.
    inputs = task_input(spec, 0, spec.image_shape)
    np.testing.assert_allclose(
        normalise(jnp.asarray(images), inputs), normalise(jnp.ones((1, 2, 2, 1)), inputs)
    )


def test_surplus_logits_get_neither_probability_nor_gradient():
    spec = InputSpec((2, 2, 1), 4, (0.5,), (0.25,), (TaskSpec(2, (0.5,), (0.25,)),))
    inputs = task_input(spec, 0, spec.image_shape)
    logits = jnp.array([[0.3, -0.2, 9.0, 9.0]])

    def loss(logits):
        return -jax.nn.log_softmax(mask_logits(logits, inputs))[0, 1]

    gradient = jax.grad(loss)(logits)[0]
    assert np.all(np.isfinite(gradient))
    np.testing.assert_array_equal(gradient[2:], 0)
    assert abs(float(gradient[0])) > 0.1


def test_tasks_of_other_sizes_and_fewer_classes_are_learned(blob_benchmark):
    """One method for tasks that differ in image size, channels and number of classes."""
    grey = blob_benchmark.load(0, "train")
    pair = grey.labels < 2
    small = Data(grey.images[pair], grey.labels[pair])
    colour = Data(np.repeat(np.repeat(np.repeat(grey.images, 2, 1), 2, 2), 3, 3), grey.labels)
    tasks = (TaskSpec(2, *[(0.5,) * 3] * 2), TaskSpec(3, *[(0.5,) * 3] * 2))
    spec = InputSpec((12, 12, 3), 3, (0.5,) * 3, (0.5,) * 3, tasks)
    config = dataclasses.replace(TINY, epochs=12)
    method = uncle(spec, 2, config, Small(), HYPER)
    state = method.learn(method.init(jax.random.key(0)), 0, small)
    state = method.learn(state, 1, colour)
    assert evaluate(method, state, 0, small) > 85
    assert evaluate(method, state, 1, colour) > 85
    logits = np.asarray(method.logits(state, 0, small.images))
    assert np.all(logits[:, 2] == -np.inf)
    assert np.all(np.isfinite(logits[:, :2]))
    with pytest.raises(UncleError, match=r"labels run from 0 to 2 \(0 to 1\)"):
        method.learn(method.init(jax.random.key(0)), 0, colour)
    with pytest.raises(UncleError, match=r"expected .N, H, W, 3. or, grey"):
        method.logits(state, 0, np.zeros((2, 6, 6, 4), np.uint8))


def test_integers_other_than_uint8_are_refused():
    method = uncle(SPEC, 2, TINY, Small(), HYPER)
    with pytest.raises(UncleError, match=r"int64 .allowed: uint8"):
        method.learn(method.init(jax.random.key(0)), 0, (np.zeros((3, 6, 6, 1), int), np.arange(3)))


def test_batches_are_the_images_asked_for_wherever_they_are():
    images = jnp.asarray(np.random.RandomState(0).randint(0, 256, (9, 4, 4, 1), np.uint8))
    labels = jnp.arange(9)
    index = np.array([3, 3, 8, 0])
    for x, y in (batches_of(images, labels)(index), _gather((images, labels), index)):
        np.testing.assert_array_equal(x, np.asarray(images)[index])
        np.testing.assert_array_equal(y, index)


def test_where_an_answer_depends_on_its_batch_sorted_images_are_mixed():
    """Images that are their class: a batch of one class would have no spread."""
    images = np.repeat(np.arange(4, dtype=np.uint8), 8)[:, None, None, None] * np.ones(
        (1, 6, 6, 1), np.uint8
    )
    seen = []

    def function(x):
        seen.append({int(v) for v in np.asarray(x)[:, 0, 0, 0]})
        return jnp.stack([jnp.asarray(x, jnp.float32).mean((1, 2, 3))] * 3, axis=-1)

    for mixed in (False, True):
        found = logits_of(function, images, SPEC, (6, 6, 1), 8, mixed)
        np.testing.assert_array_equal(found[:, 0], images[:, 0, 0, 0])  # each its own answer
    assert [len(classes) for classes in seen[:4]] == [1, 1, 1, 1]
    assert min(len(classes) for classes in seen[4:]) >= 3


@pytest.mark.parametrize(
    ("n", "size", "mixed", "seen"),
    [
        (5, 512, False, [128]),
        (300, 512, False, [384]),
        (300, 256, False, [256, 256]),
        (5, 512, True, [512]),
        (300, 100, False, [100, 100, 100]),
    ],
)
def test_a_batch_is_as_large_as_asked_or_as_is_needed(n, size, mixed, seen):
    images, sizes = np.zeros((n, 6, 6, 1), np.uint8), []

    def function(x):
        sizes.append(len(x))
        return jnp.zeros((len(x), 3))

    assert len(logits_of(function, images, SPEC, (6, 6, 1), size, mixed)) == n
    assert sizes == seen
