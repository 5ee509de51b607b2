"""Labelled images from an .npz file."""

import hashlib
import io
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from uncle_jax.data.publishers.archives import first_line
from uncle_jax.errors import UncleError
from uncle_jax.tasks import Data, InputSpec, as_data, check_images, hint

# What reading a file that is no .npz, or a damaged one, raises.
MALFORMED = (ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile, zlib.error)


def read_npz(path: Path, spec: InputSpec) -> tuple[Data, str]:
    """(data, SHA-256 of the file) of an .npz with arrays `x` (images) and `y` (labels).

    Raises UncleError if it is none, holds pickles, or does not fit `spec`.
    """
    arrays, sha = _read(path, ("x", "y"))
    return as_data(Data(_deep(arrays["x"]), arrays["y"]), spec, str(path)), sha


def read_images(path: Path, spec: InputSpec) -> np.ndarray:
    """The images `x` of an .npz, with or without labels. Raises UncleError."""
    images = _deep(_read(path, ("x",))[0]["x"])
    check_images(images, spec, str(path))
    if not len(images):
        raise UncleError(f"{path}: x holds no image")
    return images


def read_arrays(path: Path, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The plain arrays `names` of an .npz. Raises UncleError that names the file."""
    try:
        with path.open("rb") as file:
            return _arrays(path, file, names)
    except OSError as error:
        raise UncleError(f"{path} cannot be read as .npz ({error.strerror or error})") from None


def _read(path: Path, names: tuple[str, ...]) -> tuple[dict[str, np.ndarray], str]:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UncleError(f"cannot read {path} ({error.strerror or error})") from None
    return _arrays(path, io.BytesIO(raw), names), hashlib.sha256(raw).hexdigest()


def _arrays(path: Path, file: BinaryIO, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    start = file.read(8)
    file.seek(0)
    if not start.startswith(b"PK"):
        raise _unreadable(path, names, _instead(start))
    try:
        with np.load(file, allow_pickle=False) as arrays:
            found = {name: arrays[name] for name in names if name in arrays}
            missing = [name for name in names if name not in found]
            if missing:
                there = ", ".join(arrays.files[:10]) or "nothing"
                raise UncleError(
                    f"{path}: {' and '.join(missing)} missing; it holds {there} "
                    f"(expected: {', '.join(names)})"
                )
            return found
    except UncleError:
        raise
    except (*MALFORMED, OSError) as error:
        reason = first_line(error)
        if "allow_pickle" in reason:
            reason = "Object arrays cannot be loaded: pickles could run code, so allow_pickle=False"
        raise _unreadable(path, names, reason) from None


def _unreadable(path: Path, names: tuple[str, ...], reason: str) -> UncleError:
    return UncleError(
        f"{path} cannot be read as .npz: {reason} (allowed: numpy.savez with plain arrays "
        f"{', '.join(names)})"
    )


def _instead(start: bytes) -> str:
    """What a file that is no zip is, by its first bytes."""
    if not start:
        return "it is empty"
    if start.startswith(b"\x93NUMPY"):
        return "it is a single .npy array"
    text = all(byte >= 32 or byte in b"\t\r\n" for byte in start)
    return "it is a text file" if text else "it is no zip archive"


def _deep(images: np.ndarray) -> np.ndarray:
    """[N, H, W] as [N, H, W, 1], unless it is plainly a single image."""
    return images[..., None] if images.ndim == 3 and not hint(images.shape) else images
