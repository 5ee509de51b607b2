"""Records that a builder writes: in the publisher's order, of what fits the source alone."""

import errno

import numpy as np
import pytest
import tensorflow_datasets as tfds
from publishing import MNIST, classes, one_line, pixels

from uncle_jax.data.publishers import records
from uncle_jax.data.publishers.formats import Splits, arrays, decode, encode_png
from uncle_jax.errors import UncleError


def examples(seed, n):
    return arrays(pixels(seed, n, 28, 28)[..., None], classes(n))


def test_records_keep_the_order_and_every_pixel(tmp_path):
    raw = [(encode_png(image), label) for image, label in examples(1, 12)]  # encoded already
    builder = records.build(MNIST, Splits(examples(0, 30), raw), tmp_path / "here")
    for split, seed, n in (("train", 0, 30), ("test", 1, 12)):
        found = list(records.encoded(builder, split))
        assert [one["label"] for one in found] == classes(n).tolist()
        images = np.stack([decode(one["image"]) for one in found])
        np.testing.assert_array_equal(images, pixels(seed, n, 28, 28)[..., None])
    assert not (tmp_path / "here" / "downloads").exists()


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ([], "mnist: there is no train image"),
        ([(pixels(0, 28, 28, 1), 10)], r"mnist: train image 0 has label 10 \(0 to 9\)"),
        ([*examples(0, 2), (pixels(0, 28, 28, 1), -1)], "mnist: train image 2 has label -1"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, train, message):
    with pytest.raises(UncleError, match=message) as caught:
        records.build(MNIST, Splits(train, examples(1, 3)), tmp_path)
    one_line(caught)


@pytest.mark.parametrize(
    ("told", "number"),
    [
        ("write() failed: No space left on device\nat record 3", errno.ENOSPC),
        ("write() failed: Input/output error", errno.EIO),
    ],
)
def test_what_the_disk_refuses_is_an_error_of_the_disk(tmp_path, monkeypatch, told, number):
    def refuse(*_, **__):
        raise RuntimeError(told)

    monkeypatch.setattr(tfds.core.GeneratorBasedBuilder, "download_and_prepare", refuse)
    with pytest.raises(OSError, match=r"write\(\) failed") as caught:
        records.build(MNIST, Splits([], []), tmp_path)
    assert caught.value.errno == number
    one_line(caught)


def test_any_other_failure_is_not_hidden(tmp_path, monkeypatch):
    def fail(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr(tfds.core.GeneratorBasedBuilder, "download_and_prepare", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        records.build(MNIST, Splits([], []), tmp_path)
