"""Labelled images, their checks, and what is held out of them."""

import numpy as np
import pytest
from conftest import SPEC, blobs
from publishing import one_line

from uncle_jax.errors import UncleError
from uncle_jax.tasks import Data, InputSpec, TaskSpec, as_data, check_images, holdout


def test_no_image_is_on_both_sides_of_a_holdout():
    data = Data(np.arange(50).reshape(50, 1, 1, 1), np.arange(50))
    rest, held = holdout(data, seed=0, fraction=0.2)
    assert sorted([*rest.labels, *held.labels]) == list(range(50))
    assert len(held.labels) == 10
    np.testing.assert_array_equal(rest.images[:, 0, 0, 0], rest.labels)
    np.testing.assert_array_equal(held.images[:, 0, 0, 0], held.labels)


def test_a_holdout_follows_from_its_seed():
    data = Data(np.arange(50).reshape(50, 1, 1, 1), np.arange(50))
    np.testing.assert_array_equal(holdout(data, 1)[1].labels, holdout(data, 1)[1].labels)
    assert holdout(data, 1)[1].labels.tolist() != holdout(data, 2)[1].labels.tolist()


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
    data = Data(np.zeros((3, 1, 1, 1)), np.arange(3))
    assert [len(part.labels) for part in holdout(data, 0, fraction=0.01)] == [2, 1]
