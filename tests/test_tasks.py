"""Labelled images, their checks, and what is held out of them."""

import numpy as np
import pytest
from conftest import SPEC, blobs
from publishing import one_line

from uncle_jax.errors import UncleError
from uncle_jax.tasks import Data, InputSpec, TaskSpec, as_data, check_images, holdout


def test_no_image_is_on_both_sides_of_a_holdout():
    data = Data(np.arange(50).reshape(50, 1, 1, 1), np.arange(50) // 25)
    rest, held = holdout(data, seed=0, fraction=0.2)
    assert sorted([*rest.images.ravel(), *held.images.ravel()]) == list(range(50))
    assert len(held.labels) == 10
    np.testing.assert_array_equal(rest.images[:, 0, 0, 0] // 25, rest.labels)
    np.testing.assert_array_equal(held.images[:, 0, 0, 0] // 25, held.labels)


def test_a_holdout_follows_from_its_seed():
    data = Data(np.arange(50).reshape(50, 1, 1, 1), np.arange(50) // 25)
    np.testing.assert_array_equal(holdout(data, 1)[1].images, holdout(data, 1)[1].images)
    assert holdout(data, 1)[1].images.tolist() != holdout(data, 2)[1].images.tolist()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: Data(d.images[:, :, :, [0, 0]], d.labels), "images are"),
        (lambda d: Data(d.images[..., 0], d.labels), "images are"),
        (lambda d: Data(d.images.astype(int), d.labels), "images are int64"),
        (lambda d: Data(d.images, d.labels[:-1]), "one label an image"),
        (lambda d: Data(d.images, d.labels.astype(float)), "must be integers"),
        (lambda d: Data(d.images, d.labels + 1), r"labels run from 1 to 3 \(0 to 2\)"),
        (lambda d: Data(d.images, d.labels - 1), r"labels run from -1 to 1 \(0 to 2\)"),
        (lambda d: Data(d.images[:0], d.labels[:0]), "at least one"),
    ],
)
def test_bad_data_is_refused(change, message):
    as_data(blobs(0), SPEC)  # as it is, it is taken
    with pytest.raises(UncleError, match=message) as caught:
        as_data(change(blobs(0)), SPEC, "task 7")
    assert one_line(caught).startswith("task 7: ")


def test_each_task_has_its_own_classes_and_normalisation_or_everybodys():
    assert SPEC.task(3) == TaskSpec(SPEC.n_classes, SPEC.mean, SPEC.std)
    own = TaskSpec(2, (0.1,), (0.2,))
    spec = InputSpec((2, 2, 1), 3, (0.0,), (1.0,), (own, own))
    assert spec.task(1) is own


def test_data_may_be_lists_grey_and_of_any_size():
    spec = InputSpec((6, 6, 3), 3, (0.5,) * 3, (0.5,) * 3)
    images, labels = as_data((np.zeros((2, 4, 9, 1)).tolist(), [0, 2]), spec)
    assert (images.shape, labels.tolist()) == ((2, 4, 9, 1), [0, 2])
    check_images(np.zeros((0, 6, 6, 3), np.float16), spec)


def test_a_holdout_is_never_empty():
    data = Data(np.zeros((3, 1, 1, 1)), np.zeros(3, int))
    assert [len(part.labels) for part in holdout(data, 0, fraction=0.01)] == [2, 1]


def test_every_class_keeps_an_image_in_the_rest():
    """For every seed; and what is held out is as it was where no class would be lost."""
    labels = np.array([0] * 40 + [1] * 2 + [2])
    data = Data(np.arange(len(labels)), labels)
    for seed in range(40):
        rest, held = holdout(data, seed, fraction=0.3)
        assert set(rest.labels) == {0, 1, 2}
        assert sorted([*rest.images, *held.images]) == list(range(len(labels)))
        drawn = np.random.RandomState(seed).permutation(len(labels))[:13]
        assert set(held.images) <= set(drawn)
        if set(np.delete(labels, drawn)) == {0, 1, 2}:
            np.testing.assert_array_equal(held.images, drawn)
    with pytest.raises(UncleError, match="none can be held out"):
        holdout(Data(np.arange(3), np.arange(3)), 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"std": (0.0,)}, "std .* must be above 0"),
        ({"mean": (float("nan"),)}, "mean .* is not that of images scaled to 0..1"),
        ({"std": (float("inf"),)}, "std .* is not that of images scaled to 0..1"),
        ({"mean": (0.5,) * 3}, "mean has 3 values for images of 1 channels"),
        ({"mean": (127.5,)}, "are they of 0..255"),
        ({"tasks": (TaskSpec(3, (0.5,) * 3, (0.5,) * 3),)}, "mean has 3 values"),
    ],
)
def test_a_normalisation_is_of_images_scaled_to_one(change, message):
    usual = {"image_shape": (6, 6, 1), "n_classes": 3, "mean": (0.5,), "std": (0.25,)}
    with pytest.raises(UncleError, match=message):
        InputSpec(**(usual | change))
