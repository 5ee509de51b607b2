"""Split benchmarks."""

import json

import numpy as np
import pytest
from publishing import made

from uncle_jax.data.publishers.catalogue import CIFAR100, TINY_IMAGENET
from uncle_jax.data.split import class_order, select, split_benchmark, subset
from uncle_jax.errors import UncleError
from uncle_jax.tasks import Data


def test_class_order_is_that_of_torch():
    # torch.manual_seed(seed); torch.randperm(n)
    assert class_order(10, 0) == [4, 1, 7, 5, 3, 9, 0, 8, 6, 2]
    assert sorted(class_order(200, 17)) == list(range(200))
    assert class_order(200, 17) != class_order(200, 5)


@pytest.mark.parametrize(("source", "n_tasks"), [(CIFAR100, 10), (TINY_IMAGENET, 20)])
def test_every_class_is_in_one_task_and_labelled_by_its_place_in_the_order(source, n_tasks):
    ready = made(source, per_class=2)
    benchmark = split_benchmark("x", ready, seed=5)
    order = class_order(source.n_classes, 5)
    assert benchmark.n_tasks == n_tasks
    assert benchmark.spec.image_shape == source.image_shape
    assert benchmark.spec.n_classes == 10
    assert (benchmark.spec.mean, benchmark.spec.std) == (source.mean, source.std)
    seen = []
    for task in range(n_tasks):
        for split, per_class in (("train", 2), ("test", 1)):
            images, labels = benchmark.load(task, split)
            assert np.bincount(labels).tolist() == [per_class] * 10
            assert labels.dtype == np.int32
            assert images.dtype == np.uint8
            original = images[:, 0, 0, 0]  # where `made` put it
            assert original.tolist() == [order[10 * task + label] for label in labels]
        seen += original.tolist()
    assert sorted(seen) == list(range(source.n_classes))


def test_a_split_benchmark_tells_its_order_source_and_what_was_accepted():
    benchmark = split_benchmark("cifar100", made(CIFAR100), seed=1, train_images=5)
    told = json.loads(json.dumps(benchmark.provenance))
    assert told["class_order"] == class_order(100, 1)
    assert told["train_images"] == 5
    assert told["cifar100"]["verified"] == "publisher"
    assert benchmark.remarks == ()
    accepted = split_benchmark("cifar100", made(CIFAR100, verified="no"), seed=1)
    assert accepted.remarks == (
        "cifar100: not the publisher's archive "
        "(300 of 50,000 train images, 100 of 10,000 test images)",
    )


def test_train_images_draws_the_same_images_for_the_same_seed_and_leaves_test_whole():
    ready = made(CIFAR100)
    few = split_benchmark("x", ready, seed=0, train_images=12)
    whole = split_benchmark("x", ready, seed=0)
    images, labels = few.load(3, "train")
    assert images.shape == (12, 32, 32, 3)
    again = split_benchmark("x", ready, seed=0, train_images=12).load(3, "train")
    np.testing.assert_array_equal(images, again.images)
    np.testing.assert_array_equal(labels, again.labels)
    known = {image.tobytes(): label for image, label in zip(*whole.load(3, "train"), strict=True)}
    assert [known[image.tobytes()] for image in images] == labels.tolist()
    assert len({image.tobytes() for image in images}) == 12
    np.testing.assert_array_equal(few.load(3, "test").images, whole.load(3, "test").images)


def test_a_subset_keeps_the_order_and_depends_on_seed_and_task():
    data = Data(np.arange(100).reshape(100, 1, 1, 1), np.arange(100))
    drawn = [subset(data, 10, seed).labels.tolist() for seed in ((0, 0), (0, 1), (1, 0))]
    assert all(labels == sorted(set(labels)) for labels in drawn)
    assert len(set(map(tuple, drawn))) == 3
    for n in (None, 100, 101):
        assert subset(data, n, (0, 0)) is data


def test_selecting_classes_that_some_images_lack_keeps_the_others():
    data = Data(np.arange(4).reshape(4, 1, 1, 1), np.asarray([0, 1, 1, 2]))
    images, labels = select(data, {9: 0, 1: 1})  # no image of 9, beyond the largest label
    assert images.reshape(-1).tolist() == [1, 2]
    assert labels.tolist() == [1, 1]
    with pytest.raises(UncleError, match="no image of classes 8, 9"):
        select(data, {8: 0, 9: 1})
