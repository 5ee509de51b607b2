"""Own arrays are held to what is documented, and what they were understood to be is said."""

import numpy as np
import pytest

from uncle_jax.data.understood import Known, understand
from uncle_jax.errors import UncleError

LABELS = np.arange(9) % 3


def pixels(seed=0, shape=(9, 5, 5, 1)):
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


def task(x=None, y=LABELS, x_test=None, y_test=LABELS):
    return {
        "train": (pixels() if x is None else x, y),
        "test": (pixels(1) if x_test is None else x_test, y_test),
    }


def test_what_was_understood_is_said():
    found = understand([task()], Known(("t0.npz",), [["cat", "dog", "owl"]]))
    (line,) = found.lines
    assert "t0.npz" in line
    assert "9 train and 9 test images, 5x5 grey, uint8" in line
    assert "3 classes (cat, dog, owl) of 3 train images" in line
    assert found.facts[0]["train"]["per_class"] == [3, 3, 3]
    assert (found.n_classes, found.remarks) == ((3,), ())


@pytest.mark.parametrize("change", [lambda x: x, lambda x: x / 255, lambda x: x[..., 0]])
def test_what_is_documented_is_taken(change):
    found = understand([task(change(pixels()), x_test=change(pixels(1)))], Known())
    assert found.tasks[0]["train"].images.shape == (9, 5, 5, 1)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"x": pixels() * 1.0}, "from 0 to 25"),
        ({"x": pixels() / 127.5 - 1}, "from -1"),
        ({"x": np.where(np.arange(225).reshape(9, 5, 5, 1) == 30, np.nan, 0.5)}, "image 1"),
        ({"x": np.where(np.arange(225).reshape(9, 5, 5, 1) == 30, np.inf, 0.5)}, "image 1"),
        ({"x": pixels(shape=(9, 3, 5, 5))}, "channels came first"),
        ({"x": pixels(shape=(9, 5, 5, 2))}, "2 channels"),
        ({"x": pixels(shape=(9, 5, 5, 4))}, "4 channels"),
        ({"x": pixels(shape=(9, 0, 5, 1))}, "task 0 train"),
        ({"x": pixels(shape=(0, 5, 5, 1)), "y": LABELS[:0]}, "task 0 train"),
        ({"x": np.uint8(3)}, "task 0 train"),
        ({"x": pixels().astype(np.uint16)}, "uint16"),
        ({"y": LABELS + 1, "y_test": LABELS + 1}, "subtract 1"),
        ({"y": LABELS + 20, "y_test": LABELS + 20}, "subtract 20"),
        ({"y": LABELS - 1}, "labels run from -1"),
        ({"y": np.where(np.arange(9) == 0, 255, LABELS)}, "no image of"),
        ({"y": np.where(LABELS == 1, 0, LABELS)}, "train: no image of class 1"),
        ({"y": LABELS + 0.5}, "label"),
        ({"y": LABELS[1:]}, "label"),
        ({"y": LABELS * 0, "y_test": LABELS * 0}, "a single class"),
    ],
)
def test_what_is_not_is_refused_in_a_line(wrong, told):
    with pytest.raises(UncleError, match=told) as caught:
        understand([task(**wrong)], Known())
    assert "task 0" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_splits_that_were_scaled_in_two_ways_are_refused():
    with pytest.raises(UncleError, match="both must be scaled alike"):
        understand([task(x_test=np.full((9, 5, 5, 1), 0.9), x=pixels() // 128)], Known())


@pytest.mark.parametrize(
    ("odd", "told"),
    [
        ({"y_test": np.where(LABELS == 1, 0, LABELS)}, "test: no image of class 1"),
        ({"x": pixels() // 16}, "no pixel is above 15"),
        ({"x": np.full((9, 5, 5, 1), 90, np.uint8)}, "all 9 images are alike"),
        ({"x": pixels() / 255}, "each read by its own scale"),
    ],
)
def test_what_is_odd_is_remarked(odd, told):
    assert any(told in remark for remark in understand([task(**odd)], Known()).remarks)
