"""The IDX format of MNIST and its kin."""

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np

from uncle_jax.data.benchmark import Data
from uncle_jax.errors import UncleError

MNIST_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
MNIST_URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"


def find_mnist(folder: Path) -> list[Path]:
    """The four IDX files in `folder`, gzipped or not. Raises UncleError that names the missing."""
    found = [
        next((p for p in (folder / f"{name}.gz", folder / name) if p.is_file()), None)
        for name in MNIST_FILES
    ]
    missing = [f"{name}.gz" for name, path in zip(MNIST_FILES, found, strict=True) if path is None]
    if missing:
        raise UncleError(
            f"missing {', '.join(missing)} in {folder.absolute()} "
            f"(get them from {MNIST_URL} and pass their folder with --data-dir)"
        )
    return [path for path in found if path is not None]


def read_mnist(folder: Path) -> dict[str, Data]:
    """{"train": ..., "test": ...} from the four IDX files: uint8 [N, 28, 28, 1], labels [N]."""
    arrays = [read_idx(path) for path in find_mnist(folder)]
    splits = {}
    for split, (images, labels) in zip(("train", "test"), (arrays[:2], arrays[2:]), strict=True):
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise UncleError(
                f"{folder}: {split} has images {list(images.shape)} and labels "
                f"{list(labels.shape)} (expected [N, 28, 28] and [N])"
            )
        splits[split] = Data(images[..., None], labels.astype(np.int32))
    return splits


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array in an IDX file, gzipped or not. Raises UncleError if it is not whole."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            raw = file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise UncleError(f"{path} cannot be read ({error}); download it again") from None
    if len(raw) < 4 or raw[:3] != b"\0\0\x08":
        raise UncleError(f"{path} is not an IDX file of bytes (it starts with {raw[:4].hex()})")
    n_dims = raw[3]
    start = 4 + 4 * n_dims
    shape = struct.unpack(f">{n_dims}I", raw[4:start]) if len(raw) >= start else ()
    expected = start + int(np.prod(shape, dtype=np.int64))
    if not shape or len(raw) != expected:
        raise UncleError(f"{path} holds {len(raw)} bytes, its header says {expected}")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)
