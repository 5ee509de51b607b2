"""Permuted benchmarks."""

import numpy as np
import pytest
from publishing import made
from sklearn.datasets import load_digits

from uncle_jax.data import permuted
from uncle_jax.data.permuted import N_TASKS, permuted_digits, permuted_mnist
from uncle_jax.data.publishers.catalogue import MNIST


def test_digits_are_split_and_permuted_by_seed():
    benchmark = permuted_digits(3)
    train, test = benchmark.load(0, "train"), benchmark.load(0, "test")
    assert (len(train.labels), len(test.labels)) == (1438, 359)
    assert train.images.shape[1:] == (8, 8, 1)
    assert train.images.dtype == np.uint8
    other = benchmark.load(1, "test")
    np.testing.assert_array_equal(test.labels, other.labels)
    assert not np.array_equal(test.images, other.images)
    # A permutation keeps each image's pixels.
    np.testing.assert_array_equal(
        np.sort(test.images.reshape(359, 64)), np.sort(other.images.reshape(359, 64))
    )
    again = permuted_digits(3).load(1, "test")
    np.testing.assert_array_equal(again.images, benchmark.load(1, "test").images)
    assert not np.array_equal(permuted_digits(4).load(1, "test").images, again.images)


def test_permuted_mnist_permutes_all_pixels_as_the_authors_draw_them():
    ready = made(MNIST)
    benchmark = permuted_mnist(ready, seed=0)
    assert benchmark.n_tasks == N_TASKS == 10
    assert benchmark.spec.image_shape == (28, 28, 1)
    rng = np.random.RandomState(0)
    flat = ready.splits["test"].images.reshape(10, 784)
    for task in range(3):
        images, labels = benchmark.load(task, "test")
        np.testing.assert_array_equal(
            np.asarray(images).reshape(10, 784), flat[:, rng.permutation(784)]
        )
        np.testing.assert_array_equal(labels, ready.splits["test"].labels)


def test_permuted_mnist_draws_each_task_its_training_images():
    ready = made(MNIST, verified="no")
    benchmark = permuted_mnist(ready, seed=0, train_images=12)
    labels = [benchmark.load(task, "train").labels.tolist() for task in (0, 1)]
    assert [len(drawn) for drawn in labels] == [12, 12]
    assert labels[0] != labels[1]
    again = permuted_mnist(ready, seed=0, train_images=12)
    assert again.load(1, "train").labels.tolist() == labels[1]
    assert len(benchmark.load(0, "test").labels) == 10
    assert len(permuted_mnist(ready, seed=0).load(0, "train").labels) == 30
    assert benchmark.provenance["train_images"] == 12
    assert benchmark.remarks == (ready.remark,)


def test_permuted_images_keep_their_labels():
    ready = made(MNIST)
    benchmark = permuted_mnist(ready, seed=0)
    of_pixels = {
        tuple(sorted(image.reshape(-1))): label
        for image, label in zip(*ready.splits["train"], strict=True)
    }
    images, labels = benchmark.load(4, "train")
    found = [of_pixels[tuple(sorted(image.reshape(-1)))] for image in np.asarray(images)]
    assert found == labels.tolist()


@pytest.mark.parametrize("place", [permuted.PLACE, "elsewhere.csv.gz"])
def test_the_digits_are_scikit_learns_wherever_its_file_lies(monkeypatch, place):
    monkeypatch.setattr(permuted, "PLACE", place)
    for one, other in zip(permuted._digits(), load_digits(return_X_y=True), strict=True):
        np.testing.assert_array_equal(one, other)
