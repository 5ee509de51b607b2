"""A benchmark's held-out split, for choosing settings without looking at test data."""

import dataclasses
import pickle

import numpy as np
import pytest
from publishing import one_line, pixels

from uncle_jax.data.benchmark import Benchmark
from uncle_jax.data.permuted import permuted_digits
from uncle_jax.errors import UncleError


def test_validation_data_is_held_out_of_training(blob_benchmark):
    held = blob_benchmark.held_out(0)
    train, rest, test = (
        b.load(0, split)
        for b, split in ((blob_benchmark, "train"), (held, "train"), (held, "test"))
    )
    assert len(rest.labels) + len(test.labels) == len(train.labels)
    together = np.concatenate([rest.images, test.images]).reshape(len(train.labels), -1)
    np.testing.assert_array_equal(
        np.sort(together.view("V36").ravel()),
        np.sort(train.images.reshape(len(train.labels), -1).view("V36").ravel()),
    )


def test_the_real_test_split_is_never_loaded(blob_benchmark):
    def load(task, split):
        assert split == "train"
        return blob_benchmark.load(task, split)

    held = dataclasses.replace(blob_benchmark, load=load).held_out(3)
    assert len(held.load(1, "test").labels) == pytest.approx(4.8, abs=0.5)


def test_the_same_seed_holds_out_the_same_images(blob_benchmark):
    first, again, other = (blob_benchmark.held_out(seed).load(2, "test") for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.images, again.images)
    assert not np.array_equal(first.images, other.images)


def test_from_arrays_takes_grey_images_and_checks_them():
    rng = np.random.RandomState(0)
    images, labels = rng.randint(0, 255, (9, 5, 5)).astype(np.uint8), np.arange(9) % 3
    benchmark = Benchmark.from_arrays([{"train": (images, labels), "test": (images, labels)}])
    assert benchmark.spec.image_shape == (5, 5, 1)
    assert benchmark.spec.n_classes == 3
    assert benchmark.spec.tasks == ()
    assert (benchmark.spec.mean, benchmark.spec.std) == ((0.5,), (0.5,))
    np.testing.assert_array_equal(benchmark.load(0, "train").images, images[..., None])
    with pytest.raises(UncleError, match="task 0 lacks test"):
        Benchmark.from_arrays([{"train": (images, labels)}])
    with pytest.raises(UncleError, match="at least one task"):
        Benchmark.from_arrays([])
    flat = images.reshape(9, 25)
    with pytest.raises(UncleError, match=r"task 0 test: images must be .* not \[9, 25\]"):
        Benchmark.from_arrays([{"train": (images, labels), "test": (flat, labels)}])


def test_tasks_of_other_sizes_channels_and_classes_are_brought_to_the_largest():
    rng = np.random.RandomState(0)

    def task(shape, n_classes):
        pair = rng.randint(0, 255, (12, *shape)).astype(np.uint8), np.arange(12) % n_classes
        return {"train": pair, "test": pair}

    benchmark = Benchmark.from_arrays([task((5, 9), 3), task((8, 4, 3), 4), task((6, 6, 1), 2)])
    spec = benchmark.spec
    assert spec.image_shape == (8, 9, 3)
    assert spec.n_classes == 4
    assert [spec.task(t).n_classes for t in range(3)] == [3, 4, 2]
    assert {spec.task(t).mean for t in range(3)} == {(0.5, 0.5, 0.5)}


@pytest.mark.parametrize("labels", [["cat", "dog"] * 4, [0.0, np.nan] * 4, [[0]] * 8])
def test_labels_that_are_no_integers_are_refused_with_their_task(labels):
    images = pixels(0, 8, 4, 4)
    good, bad = (images, np.arange(8)), (images, np.asarray(labels))
    with pytest.raises(UncleError, match=r"task 1 test: .*label") as caught:
        Benchmark.from_arrays([{"train": good, "test": good}, {"train": good, "test": bad}])
    one_line(caught)


def test_benchmarks_can_be_pickled_and_give_the_same_images(blob_benchmark):
    given = [{split: blob_benchmark.load(t, split) for split in ("train", "test")} for t in (0, 1)]
    digits = permuted_digits(0)
    for benchmark in (Benchmark.from_arrays(given), digits, digits.held_out(3)):
        copy = pickle.loads(pickle.dumps(benchmark))
        for split in ("train", "test"):
            np.testing.assert_array_equal(
                copy.load(1, split).images, benchmark.load(1, split).images
            )
