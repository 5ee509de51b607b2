"""The publishers' formats, written small here (other modules use the writers) and read back."""

import gzip
import io
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from publishing import (
    BROKEN,
    TINY,
    cifar100_members,
    cifar100_python_members,
    cifar_rows,
    classes,
    idx_bytes,
    mat_bytes,
    mnist_files,
    notmnist_members,
    one_line,
    pixels,
    put,
    python2_pickle,
    svhn_files,
    tar_bytes,
    tiny_imagenet_members,
    zip_bytes,
)
from scipy.io import savemat

from uncle_jax.data.publishers import formats as readers
from uncle_jax.data.publishers.formats import MNIST_FILES, Splits, decode, encode_png, read_idx
from uncle_jax.errors import UncleError

# --------------------------------------------------------------------------------------------------
# Writers


def cifar10_members(n: int = 20, batches: int = 2) -> dict[str, bytes]:
    names = [f"data_batch_{i}" for i in range(1, 1 + batches)] + ["test_batch"]
    return {
        f"cifar-10-batches-bin/{name}.bin": np.concatenate(
            [classes(n)[:, None], cifar_rows(seed, n)], axis=1
        ).tobytes()
        for seed, name in enumerate(names)
    }


def put_tar(folder: Path, members: dict[str, bytes]) -> dict[str, Path]:
    return put(folder, {"x.tar.gz": tar_bytes(members)})


def stacked(examples) -> tuple[np.ndarray, list[int]]:
    """Images, decoded where they are encoded, and labels."""
    pairs = list(examples)
    images = [image if isinstance(image, np.ndarray) else decode(image) for image, _ in pairs]
    return np.stack(images), [label for _, label in pairs]


# --------------------------------------------------------------------------------------------------
# IDX


@pytest.mark.parametrize("packed", [True, False])
def test_mnist_is_read_in_order_gzipped_or_not(tmp_path, packed):
    files = mnist_files()
    if not packed:
        files = {name: gzip.decompress(raw) for name, raw in files.items()}
    splits = readers.read_mnist(put(tmp_path, files))
    for split, seed, n in ((splits.train, 0, 30), (splits.test, 1, 20)):
        images, labels = stacked(split)
        np.testing.assert_array_equal(images, pixels(seed, n, 28, 28)[..., None])
        assert labels == classes(n).tolist()
    assert splits.skipped == ()


def test_other_than_one_label_an_image_names_both_files(tmp_path):
    paths = put(tmp_path, mnist_files())
    paths[MNIST_FILES[1]].write_bytes(idx_bytes(classes(29)))
    with pytest.raises(UncleError, match=r"\[30, 28, 28\].*\[29\]") as caught:
        readers.read_mnist(paths)
    assert str(paths[MNIST_FILES[0]]) in one_line(caught)
    assert MNIST_FILES[1] in str(caught.value)


@pytest.mark.parametrize("damage", ["truncated", "gzip", "flipped gzip", "magic", "empty", "long"])
def test_a_damaged_idx_file_is_named(tmp_path, damage):
    content = idx_bytes(np.ones((5, 4)))
    packed = bytearray(gzip.compress(content))
    path = tmp_path / "x"
    if damage == "flipped gzip":
        packed[-6] ^= 1  # in the checksum of the content
        path.write_bytes(packed)
    else:
        path.write_bytes(
            {
                "truncated": content[:-3],
                "gzip": packed[:-9],
                "magic": b"PNG!" + content,
                "empty": b"",
                "long": content + b"!",
            }[damage]
        )
    with pytest.raises(UncleError, match=str(path)) as caught:
        read_idx(path)
    one_line(caught)


def npz_bytes(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


MNIST_NPZ = {
    "x_train": pixels(0, 30, 28, 28),
    "y_train": classes(30),
    "x_test": pixels(1, 20, 28, 28),
    "y_test": classes(20),
}


def test_mnist_as_keras_has_it_is_the_same(tmp_path):
    splits = readers.read_mnist_npz(put(tmp_path, {"mnist.npz": npz_bytes(**MNIST_NPZ)}))
    for split, seed, n in ((splits.train, 0, 30), (splits.test, 1, 20)):
        images, labels = stacked(split)
        np.testing.assert_array_equal(images, pixels(seed, n, 28, 28)[..., None])
        assert labels == classes(n).tolist()


@pytest.mark.parametrize(
    "wrong",
    [
        npz_bytes(**MNIST_NPZ)[:-100],
        b"<html>",
        b"",
        npz_bytes(x_train=MNIST_NPZ["x_train"]),
        npz_bytes(**MNIST_NPZ | {"y_test": classes(19)}),
        npz_bytes(**MNIST_NPZ | {"x_test": np.zeros((20, 28, 28), np.float32)}),
        npz_bytes(**MNIST_NPZ | {"x_test": np.asarray([None], object)}),
    ],
)
def test_an_npz_that_is_not_mnists_is_named(tmp_path, wrong):
    paths = put(tmp_path, {"mnist.npz": wrong})
    with pytest.raises(UncleError, match=str(paths["mnist.npz"])) as caught:
        readers.read_mnist_npz(paths)
    one_line(caught)


# --------------------------------------------------------------------------------------------------
# CIFAR


def as_images(rows: np.ndarray) -> np.ndarray:
    """Rows of planes as images, pixel by pixel as CIFAR's page describes them."""
    images = np.zeros((len(rows), 32, 32, 3), np.uint8)
    for channel in range(3):
        images[..., channel] = rows[:, 1024 * channel : 1024 * (channel + 1)].reshape(-1, 32, 32)
    return images


def binary(members: dict[str, bytes]) -> dict[str, bytes]:
    """Those that hold images."""
    return {name: raw for name, raw in members.items() if name.endswith(".bin")}


@pytest.mark.parametrize("variant", ["binary", "python"])
@pytest.mark.parametrize("extracted", [True, False])
def test_cifar100_has_fine_labels_and_colours_last_in_every_variant(tmp_path, variant, extracted):
    place = put if extracted else put_tar
    if variant == "binary":
        splits = readers.read_cifar100_binary(place(tmp_path, binary(cifar100_members(200, 100))))
    else:
        splits = readers.read_cifar100_python(place(tmp_path, cifar100_python_members(200, 100)))
    for split, seed, n in ((splits.train, 0, 200), (splits.test, 1, 100)):
        images, labels = stacked(split)
        np.testing.assert_array_equal(images, as_images(cifar_rows(seed, n)))
        assert labels == classes(n, 100).tolist()


def test_the_python2_pickles_of_these_tests_are_what_numpy_pickles():
    table = {"data": pixels(0, 3, 5), "fine_labels": [1, 2]}
    raw = python2_pickle(table)
    assert b"numpy.core.multiarray" in raw
    assert raw[:2] == b"\x80\x02"
    loaded = pickle.loads(raw, encoding="bytes")
    np.testing.assert_array_equal(loaded[b"data"], table["data"])


class Call:
    """Pickles as a call, which unpickling makes."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("function", [os.mkdir, os.system, eval])
def test_a_pickle_that_runs_code_is_refused_and_not_run(tmp_path, function):
    ran = tmp_path / "ran"
    argument = {
        os.mkdir: str(ran),
        os.system: f"mkdir '{ran}'",
        eval: f"__import__('os').mkdir({str(ran)!r})",
    }[function]
    evil = pickle.dumps({b"data": Call(function, argument), b"fine_labels": []}, protocol=3)
    pickle.loads(evil)
    assert ran.is_dir()  # a plain unpickler runs it
    ran.rmdir()
    members = cifar100_python_members(2, 2) | {"cifar-100-python/train": evil}
    with pytest.raises(UncleError, match="asks for") as caught:
        readers.read_cifar100_python(put_tar(tmp_path, members))
    assert function.__name__ in one_line(caught)
    assert not ran.exists()


@pytest.mark.parametrize("batches", [2, 5])
def test_cifar10_is_read_with_as_many_batches_as_there_are(tmp_path, batches):
    splits = readers.read_cifar10_binary(put_tar(tmp_path, cifar10_members(20, batches)))
    images, labels = stacked(splits.train)
    rows = np.concatenate([cifar_rows(seed, 20) for seed in range(batches)])
    np.testing.assert_array_equal(images, as_images(rows))
    assert labels == classes(20).tolist() * batches
    np.testing.assert_array_equal(stacked(splits.test)[0], as_images(cifar_rows(batches, 20)))


@pytest.mark.parametrize("place", [put, put_tar])
def test_cifar10_pickled_is_the_same_in_its_tar_and_extracted(tmp_path, place):
    members = {
        f"cifar-10-batches-py/{name}": python2_pickle(
            {"data": cifar_rows(seed, 20), "labels": classes(20).tolist()}
        )
        for seed, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"])
    }
    splits = readers.read_cifar10_python(place(tmp_path, members))
    images, labels = stacked(splits.train)
    rows = np.concatenate([cifar_rows(seed, 20) for seed in range(5)])
    np.testing.assert_array_equal(images, as_images(rows))
    assert labels == classes(20).tolist() * 5
    np.testing.assert_array_equal(stacked(splits.test)[0], as_images(cifar_rows(5, 20)))


@pytest.mark.parametrize("rest", [b"", b"\0" * 100])
def test_a_cifar_member_that_is_not_whole_rows_is_named(tmp_path, rest):
    members = cifar100_members(2, 2)
    name = "cifar-100-binary/test.bin"
    members[name] = members[name] + rest if rest else b""
    with pytest.raises(UncleError, match=name) as caught:
        readers.read_cifar100_binary(put_tar(tmp_path, members))
    assert "rows of 3074" in one_line(caught)


@pytest.mark.parametrize(
    ("reader", "members", "absent"),
    [
        (readers.read_cifar100_binary, cifar100_members(2, 2), "cifar-100-binary/test.bin"),
        (readers.read_cifar100_python, cifar100_python_members(2, 2), "cifar-100-python/train"),
        (readers.read_cifar10_binary, cifar10_members(2), "cifar-10-batches-bin/test_batch.bin"),
    ],
)
def test_a_missing_member_of_a_tar_is_named(tmp_path, reader, members, absent):
    paths = put_tar(tmp_path, {k: v for k, v in members.items() if k != absent})
    with pytest.raises(UncleError, match=f"lacks the member {absent}") as caught:
        reader(paths)
    assert str(paths["x.tar.gz"]) in one_line(caught)


# --------------------------------------------------------------------------------------------------
# SVHN


@pytest.mark.parametrize("compress", [True, False])
def test_svhn_is_read_in_order_and_its_label_10_is_the_digit_0(tmp_path, compress):
    splits = readers.read_svhn(put(tmp_path, svhn_files(20, 10, compress)))
    for split, seed, n in ((splits.train, 0, 20), (splits.test, 1, 10)):
        images, labels = stacked(split)
        np.testing.assert_array_equal(images, pixels(seed, n, 32, 32, 3))
        assert labels == [(1 + k) % 10 for k in classes(n).tolist()]
        assert labels.count(0) == n // 10


# Flipped bits are left to the checksum: SciPy itself can crash on them.
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("counts", r"X \[32, 32, 3, 5\] of uint8 and 4 labels"),
        ("axes", r"X \[20, 32, 32, 3\] of uint8 and 20 labels \(expected \[32, 32, 3, N\]"),
        ("floats", "of float32"),
        ("keys", "it has no 'X'"),
        ("v7.3", r"MATLAB v7.3 file \(HDF5\); SVHN's are v5"),
        ("no mat", "is not SVHN's"),
        ("truncated", "is not SVHN's"),
        ("empty", "is not SVHN's"),
    ],
)
def test_an_svhn_file_that_is_not_is_named(tmp_path, wrong, told):
    whole = svhn_files()["train_32x32.mat"]
    raw = {
        "counts": mat_bytes(pixels(0, 5, 32, 32, 3), 1 + classes(4)),
        "axes": saved(X=pixels(0, 20, 32, 32, 3), y=1 + classes(20)),
        "floats": saved(X=np.zeros((32, 32, 3, 9), np.float32), y=1 + classes(9)),
        "keys": saved(Z=np.zeros(3)),
        "v7.3": b"MATLAB 7.3 MAT-file, Platform: GLNXA64, HDF5 schema 1.00 .".ljust(512)
        + b"\x89HDF",
        "no mat": b"<html>not found</html>" * 20,
        "truncated": whole[: len(whole) // 2],
        "empty": b"",
    }[wrong]
    paths = put(tmp_path, svhn_files() | {"train_32x32.mat": raw})
    with pytest.raises(UncleError, match=told) as caught:
        readers.read_svhn(paths)
    assert str(paths["train_32x32.mat"]) in one_line(caught)


def saved(**arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    savemat(file, arrays)
    return file.getvalue()


# --------------------------------------------------------------------------------------------------
# notMNIST


def test_notmnist_skips_and_names_its_two_broken_images(tmp_path):
    splits = readers.read_notmnist(put_tar(tmp_path, notmnist_members()))
    assert splits.skipped == BROKEN
    assert len(list(splits.train)) + len(list(splits.test)) == 120


def test_equal_notmnist_images_lie_on_one_side(tmp_path):
    splits = readers.read_notmnist(put_tar(tmp_path, notmnist_members()))
    sides = []
    for split in (splits.train, splits.test):
        images = [image.tobytes() for image, _ in split]
        assert len(images) == 2 * len(set(images)) > 0  # both copies of each
        sides.append(set(images))
    assert not sides[0] & sides[1]
    assert len(sides[0] | sides[1]) == 60
    assert 1 <= len(sides[1]) <= 15  # about a tenth


def test_notmnist_labels_are_letters_and_no_order_of_the_tar_changes_the_split(tmp_path):
    members = notmnist_members()
    splits = readers.read_notmnist(put_tar(tmp_path, members))
    shuffled = readers.read_notmnist(
        put_tar(tmp_path / "b", dict(sorted(members.items(), reverse=True)))
    )
    of_image = {pixels(i, 28, 28, 1).tobytes(): i % 10 for i in range(60)}
    for name in ("train", "test"):
        images, labels = stacked(getattr(splits, name))
        assert labels == [of_image[image.tobytes()] for image in images]
        again, labels_again = stacked(getattr(shuffled, name))
        np.testing.assert_array_equal(images, again)
        assert labels == labels_again


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"notMNIST_small/K/a.png": encode_png(pixels(0, 28, 28, 1))}, "K/a.png is in no folder"),
        ({"notMNIST_small/B/b.png": encode_png(pixels(0, 20, 28, 1))}, "B/b.png is .20, 28."),
    ],
)
def test_a_notmnist_image_out_of_place_is_named(tmp_path, change, message):
    with pytest.raises(UncleError, match=message) as caught:
        readers.read_notmnist(put_tar(tmp_path, notmnist_members() | change))
    one_line(caught)


def test_a_notmnist_tar_without_letters_is_named(tmp_path):
    with pytest.raises(UncleError, match="lacks the folders A to J"):
        readers.read_notmnist(put_tar(tmp_path, {"readme.txt": b"nothing"}))


# --------------------------------------------------------------------------------------------------
# Tiny ImageNet


def put_tiny(folder: Path, members: dict[str, bytes]) -> dict[str, Path]:
    return put(folder, {f"{TINY}.zip": zip_bytes(members)})


def test_tiny_imagenet_labels_follow_wnids_and_val_follows_its_annotations(tmp_path):
    splits = readers.read_tiny_imagenet(put_tiny(tmp_path, tiny_imagenet_members()))
    train, test = list(splits.train), list(splits.test)
    assert [label for _, label in train] == [1, 1, 2, 2, 0, 0]  # in the order of their names
    assert [label for _, label in test] == [2, 1, 0, 2]  # val_3, val_2, val_1, val_0
    members = tiny_imagenet_members()
    assert train[0][0] == members[f"{TINY}/train/n01/images/n01_0.JPEG"]  # its bytes, untouched
    assert test[0][0] == members[f"{TINY}/val/images/val_3.JPEG"]


def test_a_grey_jpeg_becomes_rgb_without_loss(tmp_path):
    members = tiny_imagenet_members()
    splits = readers.read_tiny_imagenet(put_tiny(tmp_path, members))
    for example, name in (
        (list(splits.train)[3], "train/n02/images/n02_1.JPEG"),
        (list(splits.test)[2], "val/images/val_1.JPEG"),
    ):
        grey = decode(members[f"{TINY}/{name}"])
        assert grey.shape == (64, 64, 1)
        np.testing.assert_array_equal(decode(example[0]), np.repeat(grey, 3, axis=-1))


@pytest.mark.parametrize(
    ("absent", "message"),
    [
        ("wnids.txt", "lacks the member tiny-imagenet-200/wnids.txt"),
        ("val/val_annotations.txt", "lacks the member .*val_annotations.txt"),
        ("val/images/val_2.JPEG", "lacks the member .*val_2.JPEG"),
        ("train/n01/images", "lacks training images of n01"),
    ],
)
def test_a_missing_part_of_tiny_imagenet_is_named(tmp_path, absent, message):
    members = {k: v for k, v in tiny_imagenet_members().items() if f"{TINY}/{absent}" not in k}
    with pytest.raises(UncleError, match=message) as caught:
        readers.read_tiny_imagenet(put_tiny(tmp_path, members))
    one_line(caught)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train/n99/images/a.JPEG": b"x"}, "a.JPEG is of no class"),
        ({"val/val_annotations.txt": b"val_0.JPEG\tn99\t0\n"}, "val_0.JPEG is of no class"),
        ({"val/val_annotations.txt": b"val_0.JPEG\n"}, "val_0.JPEG is of no class"),
        ({"val/images/val_0.JPEG": b"x"}, "val_0.JPEG is no image"),
    ],
)
def test_an_odd_part_of_tiny_imagenet_is_named(tmp_path, change, message):
    members = tiny_imagenet_members() | {f"{TINY}/{k}": v for k, v in change.items()}
    with pytest.raises(UncleError, match=message) as caught:
        list(readers.read_tiny_imagenet(put_tiny(tmp_path, members)).test)
    one_line(caught)


# --------------------------------------------------------------------------------------------------
# Whatever happens to a file


def damaged(raw: bytes, n: int):
    """`n` copies of `raw`, cut somewhere or with a bit flipped, half of these near either end."""
    rng = np.random.RandomState(0)
    for index in range(n):
        if index % 2:
            yield raw[: rng.randint(len(raw))]
            continue
        where = rng.randint(len(raw) if index % 4 else min(len(raw), 300))
        copy = bytearray(raw)
        copy[where if index % 8 else -1 - where] ^= 1 << rng.randint(8)
        yield bytes(copy)


@pytest.mark.filterwarnings("ignore")  # Pillow also warns of what it then refuses
@pytest.mark.parametrize(
    ("reader", "files"),
    [
        (readers.read_mnist, mnist_files(3, 2)),
        (readers.read_cifar100_binary, {"x.tar.gz": tar_bytes(cifar100_members(2, 2))}),
        (readers.read_cifar100_python, {"x.tar.gz": tar_bytes(cifar100_python_members(2, 2), 0)}),
        (readers.read_cifar10_binary, {"x.tar.gz": tar_bytes(cifar10_members(2), 0)}),
        (readers.read_notmnist, {"x.tar.gz": tar_bytes(notmnist_members(5), 0)}),
        (readers.read_tiny_imagenet, {"x.zip": zip_bytes(tiny_imagenet_members())}),
    ],
    ids=["mnist", "cifar100", "python", "cifar10", "notmnist", "tiny"],
)
def test_no_damage_raises_anything_but_a_line(tmp_path, reader, files):
    paths = put(tmp_path, files)
    first = next(iter(files))
    messages = []
    for raw in damaged(files[first], 80):
        paths[first].write_bytes(raw)
        try:
            splits: Splits = reader(paths)
            list(splits.train), list(splits.test)
        except UncleError as error:
            messages.append(str(error))
    assert len(messages) >= 30  # a cut file always is refused
    assert [message for message in messages if "\n" in message] == []


@pytest.mark.parametrize("n_dims", [1, 3])
def test_png_keeps_every_pixel(n_dims):
    image = pixels(0, 9, 7, n_dims)
    np.testing.assert_array_equal(decode(encode_png(image)), image)
