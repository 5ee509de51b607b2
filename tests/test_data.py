import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pytest
from conftest import SPEC, blobs

from uncle_jax.data.benchmark import Benchmark, Data, as_data, holdout
from uncle_jax.data.idx import MNIST_FILES, read_idx, read_mnist
from uncle_jax.data.permuted import permuted_digits, permuted_mnist
from uncle_jax.errors import UncleError


def idx_bytes(array: np.ndarray) -> bytes:
    head = struct.pack(">I", 0x0800 | array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
    return head + array.astype(np.uint8).tobytes()


@pytest.fixture
def small_mnist(tmp_path):
    """Four IDX files of 30 and 20 random images, two of them gzipped."""
    rng = np.random.RandomState(0)
    for i, (name, n) in enumerate(zip(MNIST_FILES, (30, 30, 20, 20), strict=True)):
        shape = (n, 28, 28) if "images" in name else (n,)
        content = idx_bytes(rng.randint(0, 10, shape))
        if i % 2:
            (tmp_path / name).write_bytes(content)
        else:
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
    return tmp_path


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


def test_no_image_is_on_both_sides_of_a_holdout():
    data = Data(np.arange(50).reshape(50, 1, 1, 1), np.arange(50))
    rest, held = holdout(data, seed=0, fraction=0.2)
    assert sorted([*rest.labels, *held.labels]) == list(range(50))
    assert len(held.labels) == 10
    np.testing.assert_array_equal(rest.images[:, 0, 0, 0], rest.labels)


def test_mnist_is_read_from_the_four_files(small_mnist):
    splits = read_mnist(small_mnist)
    assert splits["train"].images.shape == (30, 28, 28, 1)
    assert splits["test"].labels.shape == (20,)
    benchmark = permuted_mnist(small_mnist, seed=0, train_images=12)
    assert len(benchmark.load(0, "train").labels) == 12
    assert len(benchmark.load(0, "test").labels) == 20


def test_missing_files_are_each_named_with_place_and_source(small_mnist):
    (small_mnist / MNIST_FILES[1]).unlink()
    (small_mnist / f"{MNIST_FILES[2]}.gz").unlink()
    with pytest.raises(UncleError) as caught:
        read_mnist(small_mnist)
    message = str(caught.value)
    for part in (MNIST_FILES[1], MNIST_FILES[2], str(small_mnist), "https://", "--data-dir"):
        assert part in message
    assert MNIST_FILES[0] not in message


@pytest.mark.parametrize("damage", ["truncated", "gzip", "magic", "empty"])
def test_damaged_files_are_named(tmp_path, damage):
    content = idx_bytes(np.ones((5, 4)))
    path = tmp_path / ("x.gz" if damage == "gzip" else "x")
    path.write_bytes(
        {
            "truncated": content[:-3],
            "gzip": gzip.compress(content)[:-9],
            "magic": b"PNG!" + content,
            "empty": b"",
        }[damage]
    )
    with pytest.raises(UncleError, match=str(path)):
        read_idx(path)


def test_from_arrays_takes_grey_images_and_checks_them():
    rng = np.random.RandomState(0)
    images, labels = rng.randint(0, 255, (9, 5, 5)).astype(np.uint8), np.arange(9) % 3
    benchmark = Benchmark.from_arrays([{"train": (images, labels), "test": (images, labels)}])
    assert benchmark.spec.image_shape == (5, 5, 1)
    assert benchmark.spec.n_classes == 3
    with pytest.raises(UncleError, match="task 0 lacks test"):
        Benchmark.from_arrays([{"train": (images, labels)}])
    with pytest.raises(UncleError, match="at least one task"):
        Benchmark.from_arrays([])
    with pytest.raises(UncleError, match=r"task 0 test: images are \[4, 5, 1\]"):
        Benchmark.from_arrays([{"train": (images, labels), "test": (images[:, :4], labels)}])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: Data(d.images[:, :3], d.labels), "images are"),
        (lambda d: Data(d.images, d.labels[:-1]), "one label an image"),
        (lambda d: Data(d.images, d.labels.astype(float)), "must be integers"),
        (lambda d: Data(d.images, d.labels + 1), "labels run from"),
        (lambda d: Data(d.images[:0], d.labels[:0]), "at least one"),
    ],
)
def test_bad_data_is_refused(change, message):
    with pytest.raises(UncleError, match=message):
        as_data(change(blobs(0)), SPEC)


@pytest.mark.data
def test_the_real_mnist():
    splits = read_mnist(Path(os.environ["UNCLE_DATA_DIR"]))
    assert splits["train"].images.shape == (60_000, 28, 28, 1)
    assert np.bincount(splits["test"].labels).tolist() == [
        980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009,
    ]  # fmt: skip
    assert splits["train"].images.mean() / 255 == pytest.approx(0.1307, abs=1e-4)
