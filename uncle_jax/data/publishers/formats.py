"""The publishers' formats: each reader gives the splits of its archives, image by image.

A reader takes the archives' paths by file name and returns `Splits`. An image is a uint8 array
[H, W, D], or the encoded bytes that the publisher ships, left for the decoder.
"""

import hashlib
import io
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uncle_jax.data.publishers.archives import (
    first_line,
    open_tar,
    open_zip,
    read_gzip,
    read_member,
)
from uncle_jax.errors import UncleError

Example = tuple[np.ndarray | bytes, int]  # image, label


@dataclass(frozen=True)
class Splits:
    """The examples of both splits in the publisher's order, and what was left out."""

    train: Iterable[Example]
    test: Iterable[Example]
    skipped: tuple[str, ...] = ()  # members that hold no readable image


Reader = Callable[[Mapping[str, Path]], Splits]


def arrays(images: np.ndarray, labels: np.ndarray) -> list[Example]:
    """Examples of images [N, H, W, D] and labels [N]."""
    return [(image, int(label)) for image, label in zip(images, labels, strict=True)]


# --------------------------------------------------------------------------------------------------
# IDX: MNIST, Fashion-MNIST, KMNIST

MNIST_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)


def read_mnist(paths: Mapping[str, Path]) -> Splits:
    """The IDX quartet: images [28, 28, 1]."""
    splits = []
    for images_name, labels_name in (MNIST_FILES[:2], MNIST_FILES[2:]):
        images, labels = read_idx(paths[images_name]), read_idx(paths[labels_name])
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise UncleError(
                f"{paths[images_name]} has images {list(images.shape)}, "
                f"{paths[labels_name].name} labels {list(labels.shape)} "
                "(expected [N, 28, 28] and [N])"
            )
        splits.append(arrays(images[..., None], labels))
    return Splits(*splits)


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array in an IDX file, gzipped or not. Raises UncleError if it is not whole."""
    raw = read_gzip(path)
    if len(raw) < 4 or raw[:3] != b"\0\0\x08":
        raise UncleError(f"{path} is not an IDX file of bytes (it starts with {raw[:4].hex()})")
    n_dims = raw[3]
    start = 4 + 4 * n_dims
    shape = struct.unpack(f">{n_dims}I", raw[4:start]) if len(raw) >= start else ()
    expected = start + int(np.prod(shape, dtype=np.int64))
    if not shape or len(raw) != expected:
        raise UncleError(f"{path} holds {len(raw)} bytes, its header says {expected}")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def read_mnist_npz(paths: Mapping[str, Path]) -> Splits:
    """mnist.npz, as Keras hands the same images out: images [28, 28, 1]."""
    (path,) = paths.values()
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            table = {
                f"{k}_{split}": file[f"{k}_{split}"] for k in "xy" for split in ("train", "test")
            }
    except (OSError, LookupError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise UncleError(f"{path} is not MNIST's .npz ({first_line(error)})") from None
    splits = []
    for split in ("train", "test"):
        images, labels = table[f"x_{split}"], table[f"y_{split}"]
        if images.ndim != 3 or images.dtype != np.uint8 or labels.shape != images.shape[:1]:
            raise UncleError(
                f"{path} has {split} images {list(images.shape)} of {images.dtype}, labels "
                f"{list(labels.shape)} (expected [N, 28, 28] of uint8 and [N])"
            )
        splits.append(arrays(images[..., None], labels))
    return Splits(*splits)


# --------------------------------------------------------------------------------------------------
# CIFAR, binary and python variants, in their archives or extracted


def read_cifar100_binary(paths: Mapping[str, Path]) -> Splits:
    """cifar-100-binary: fine labels; images [32, 32, 3]."""
    train, test = ([f"cifar-100-binary/{split}.bin"] for split in ("train", "test"))
    return Splits(_binary(paths, train, n_labels=2), _binary(paths, test, n_labels=2))


def read_cifar10_binary(paths: Mapping[str, Path]) -> Splits:
    """cifar-10-binary, with as many of the five training batches as there are."""
    train = _batches(paths, "cifar-10-batches-bin/data_batch_{}.bin")
    test = ["cifar-10-batches-bin/test_batch.bin"]
    return Splits(_binary(paths, train, n_labels=1), _binary(paths, test, n_labels=1))


def read_cifar100_python(paths: Mapping[str, Path]) -> Splits:
    """cifar-100-python: the same images, pickled; only NumPy arrays are unpickled."""
    train, test = ([f"cifar-100-python/{split}"] for split in ("train", "test"))
    return Splits(_pickled(paths, train, b"fine_labels"), _pickled(paths, test, b"fine_labels"))


def read_cifar10_python(paths: Mapping[str, Path]) -> Splits:
    """cifar-10-batches-py, likewise."""
    train = _batches(paths, "cifar-10-batches-py/data_batch_{}")
    test = ["cifar-10-batches-py/test_batch"]
    return Splits(_pickled(paths, train, b"labels"), _pickled(paths, test, b"labels"))


def _contents(paths: Mapping[str, Path], members: list[str]) -> list[bytes]:
    """What `members` of an archive hold; extracted, they are among `paths` themselves."""
    if members[0] in paths:
        return [paths[member].read_bytes() for member in members]
    (path,) = paths.values()
    with open_tar(path) as tar:
        return [read_member(tar, member) for member in members]


def _place(paths: Mapping[str, Path], member: str) -> str:
    """Where `member` is, in words."""
    return str(paths.get(member, f"{next(iter(paths.values()))}: {member}"))


def _batches(paths: Mapping[str, Path], name: str) -> list[str]:
    """The training batches that there are: the first at least, for what reads them to miss."""
    there = set(paths)
    if len(paths) == 1:
        (path,) = paths.values()
        with open_tar(path) as tar:
            there = set(tar.getnames())
    names = [name.format(i) for i in range(1, 6)]
    return [name for name in names if name in there] or names[:1]


def _binary(paths: Mapping[str, Path], members: list[str], n_labels: int) -> list[Example]:
    raw, row = b"".join(_contents(paths, members)), n_labels + 3072
    if not raw or len(raw) % row:
        where = _place(paths, members[-1])
        raise UncleError(f"{where} holds {len(raw)} bytes, not rows of {row}")
    table = np.frombuffer(raw, np.uint8).reshape(-1, row)
    return arrays(_planes(table[:, n_labels:]), table[:, n_labels - 1])


def _pickled(paths: Mapping[str, Path], members: list[str], labels: bytes) -> list[Example]:
    examples = []
    for member, raw in zip(members, _contents(paths, members), strict=True):
        try:
            table = _ArrayUnpickler(io.BytesIO(raw), encoding="bytes").load()
            examples += arrays(_planes(np.asarray(table[b"data"])), np.asarray(table[labels]))
        except (
            pickle.UnpicklingError,
            EOFError,
            LookupError,
            TypeError,
            ValueError,
            AttributeError,
        ) as error:
            where = _place(paths, member)
            raise UncleError(f"{where} is not CIFAR's ({first_line(error)})") from None
    return examples


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles plain values and NumPy arrays, and refuses whatever could run code."""

    def find_class(self, module_name: str, global_name: str) -> Any:
        module = module_name.replace("numpy.core", "numpy._core")
        if (module, global_name) in {
            ("numpy._core.multiarray", "_reconstruct"),
            ("numpy", "ndarray"),
            ("numpy", "dtype"),
        }:
            return super().find_class(module, global_name)
        raise pickle.UnpicklingError(f"it asks for {module_name}.{global_name}")


def _planes(rows: np.ndarray) -> np.ndarray:
    """Images [N, 32, 32, 3] from rows of a red, a green and a blue plane."""
    return np.ascontiguousarray(rows.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))


# --------------------------------------------------------------------------------------------------
# SVHN, notMNIST, Tiny ImageNet


def read_svhn(paths: Mapping[str, Path]) -> Splits:
    """train_32x32.mat and test_32x32.mat: images [32, 32, 3]; label 10 is the digit 0."""
    from scipy.io import loadmat  # here: only SVHN needs it

    def read(name: str) -> list[Example]:
        with paths[name].open("rb") as file:
            if b"MATLAB 7.3" in file.read(128):
                raise UncleError(
                    f"{paths[name]} is a MATLAB v7.3 file (HDF5); SVHN's are v5: download it "
                    "again, or save it with -v7"
                )
        try:
            table = loadmat(paths[name])
            images, labels = np.asarray(table["X"]), np.asarray(table["y"]).reshape(-1)
        except Exception as error:  # SciPy raises many kinds
            raise UncleError(
                f"{paths[name]} is not SVHN's ({_said(error)}); download it again"
            ) from None
        if images.dtype != np.uint8 or images.shape != (32, 32, 3, len(labels)):
            raise UncleError(
                f"{paths[name]} has X {list(images.shape)} of {images.dtype} and {len(labels)} "
                "labels (expected [32, 32, 3, N] of uint8 and N)"
            )
        return arrays(np.ascontiguousarray(images.transpose(3, 0, 1, 2)), labels % 10)

    return Splits(read("train_32x32.mat"), read("test_32x32.mat"))


def _said(error: Exception) -> str:
    return f"it has no {error}" if isinstance(error, KeyError) else first_line(error)


def read_notmnist(paths: Mapping[str, Path]) -> Splits:
    """notMNIST_small.tar.gz: letters A to J, images [28, 28, 1].

    It has no official split: an image is a test image if the SHA-256 of its pixels, as a number, is
    divisible by ten. So the split never changes, and equal images lie on one side.
    """
    from PIL import Image, UnidentifiedImageError

    (path,) = paths.values()
    splits: tuple[list[Example], list[Example]] = ([], [])
    skipped = []
    images = {}
    with open_tar(path) as tar:
        for member in tar:  # in the order of the file: a gzipped tar cannot seek back cheaply
            if member.isfile() and member.name.lower().endswith(".png"):
                images[member.name] = read_member(tar, member)
    for name, raw in sorted(images.items()):
        letter = Path(name).parent.name
        if letter not in set("ABCDEFGHIJ"):
            raise UncleError(f"{path}: {name} is in no folder A to J")
        try:
            with Image.open(io.BytesIO(raw)) as opened:
                image = np.asarray(opened.convert("L"))
        except (UnidentifiedImageError, OSError, SyntaxError):  # two of them, in the original
            skipped.append(name)
            continue
        if image.shape != (28, 28):
            raise UncleError(f"{path}: {name} is {image.shape}, expected 28 x 28")
        digest = int.from_bytes(hashlib.sha256(image.tobytes()).digest(), "big")
        splits[digest % 10 == 0].append((image[..., None], ord(letter) - ord("A")))
    if not splits[0]:
        raise UncleError(f"{path} lacks the folders A to J; download it again")
    return Splits(*splits, tuple(skipped))


def read_tiny_imagenet(paths: Mapping[str, Path]) -> Splits:
    """tiny-imagenet-200.zip: 64x64 JPEGs; labels in the order of wnids.txt; val is the test split.

    The publisher's test images have no labels. Grey JPEGs become RGB.
    """
    (path,) = paths.values()
    root = "tiny-imagenet-200"
    with open_zip(path) as archive:
        wnids = read_member(archive, f"{root}/wnids.txt").decode().split()
        annotations = read_member(archive, f"{root}/val/val_annotations.txt").decode()
        names = archive.namelist()
    label = {wnid: index for index, wnid in enumerate(wnids)}
    train = []
    for name in sorted(names):
        parts = name.split("/")
        if parts[:2] == [root, "train"] and name.endswith(".JPEG"):
            if parts[2] not in label:
                raise UncleError(f"{path}: {name} is of no class in wnids.txt")
            train.append((name, label[parts[2]]))
    absent = set(label.values()) - {which for _, which in train}
    if absent:
        raise UncleError(f"{path} lacks training images of {wnids[min(absent)]}")
    test = []
    for line in filter(None, annotations.splitlines()):
        image, _, rest = line.partition("\t")
        wnid = rest.partition("\t")[0]
        if wnid not in label:
            raise UncleError(f"{path}: val image {image} is of no class in wnids.txt")
        test.append((f"{root}/val/images/{image}", label[wnid]))
    present = set(names)
    missing = next((name for name, _ in test if name not in present), None)
    if missing:
        raise UncleError(f"{path} lacks the member {missing}; download it again")
    return Splits(_members(path, train), _members(path, test))


def _members(path: Path, members: list[tuple[str, int]]) -> Iterator[Example]:
    with open_zip(path) as archive:
        for name, label in members:
            yield _rgb(archive, name), label


def _rgb(archive: zipfile.ZipFile, name: str) -> bytes:
    """A member's encoded image; re-encoded, without loss, as PNG if it is not RGB."""
    from PIL import Image, UnidentifiedImageError

    raw = read_member(archive, name)
    try:
        with Image.open(io.BytesIO(raw)) as image:
            return raw if image.mode == "RGB" else encode_png(np.asarray(image.convert("RGB")))
    except (UnidentifiedImageError, OSError) as error:
        raise UncleError(f"{archive.filename}: {name} is no image ({error})") from None


def encode_png(image: np.ndarray) -> bytes:
    """PNG bytes of a uint8 image [H, W, 1 or 3]."""
    from PIL import Image

    file = io.BytesIO()
    pixels = image[..., 0] if image.shape[-1] == 1 else image
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def decode(raw: bytes) -> np.ndarray:
    """The uint8 image [H, W, 1 or 3] in encoded bytes."""
    from PIL import Image

    with Image.open(io.BytesIO(raw)) as image:
        pixels = np.asarray(image)
    return pixels[..., None] if pixels.ndim == 2 else pixels
