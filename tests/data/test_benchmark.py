"""A benchmark's held-out split, for choosing settings without looking at test data."""

import dataclasses

import numpy as np
import pytest


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
