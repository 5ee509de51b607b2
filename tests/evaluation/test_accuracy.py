import numpy as np
import pytest

from uncle_jax.errors import UncleError
from uncle_jax.evaluation.accuracy import chance, evaluate
from uncle_jax.methods.protocol import Method
from uncle_jax.tasks import Data


def answering(logits):
    """A method whose logits are `logits[task]`, one row an image."""
    return Method("said", *[lambda *_: None] * 3, lambda state, task, images: logits[task])  # type: ignore[list-item]


IMAGES = np.zeros((4, 2, 2, 1), np.uint8)


def test_accuracy_is_per_cent_of_the_tasks_own_answers():
    method = answering({0: np.eye(3)[[0, 1, 2, 0]], 1: np.eye(3)[[1, 1, 1, 1]]})
    labels = np.array([0, 1, 2, 1])
    assert evaluate(method, None, 0, Data(IMAGES, labels)) == 75
    assert evaluate(method, None, 1, (IMAGES, labels.tolist())) == 50


@pytest.mark.parametrize("labels", [[0, 1, 2], [[0], [1], [2], [0]], 0])
def test_another_number_of_labels_than_images_is_refused(labels):
    with pytest.raises(UncleError, match=r"4 images and labels of shape .* one label an image"):
        evaluate(answering({0: np.eye(4)}), None, 0, (IMAGES, labels))


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (["a", "b", "a", "a"], "labels must be integers"),
        ([0.0, 1.0, 0.0, 1.0], "labels must be integers"),
        ([1, 2, 3, 1], "task 0: labels run from 1 to 3 \\(0 to 2\\)"),
        ([-1, 0, 1, 2], "labels run from -1 to 2"),
    ],
)
def test_labels_that_learning_refuses_are_refused(labels, told):
    masked = np.concatenate([np.eye(3)[[0, 1, 2, 0]], np.full((4, 1), -np.inf)], axis=1)
    with pytest.raises(UncleError, match=told):
        evaluate(answering({0: masked}), None, 0, (IMAGES, labels))


def test_no_image_at_all_is_refused():
    with pytest.raises(UncleError, match="at least one"):
        evaluate(answering({0: np.eye(4)[:0]}), None, 0, (IMAGES[:0], np.zeros(0, int)))


def test_chance_is_the_best_constant_answer_and_three_deviations():
    def of(counts):
        return chance(Data(None, np.repeat(np.arange(len(counts)), counts)))

    assert of([50, 50]) == pytest.approx(50 + 3 * 5)  # sigma: sqrt(0.5 * 0.5 / 100)
    assert of([10, 90]) == pytest.approx(90 + 3 * 3)
    assert of([2, 2]) == of([5]) == 100  # never above it
