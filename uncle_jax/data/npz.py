"""Labelled images from an .npz file."""

import hashlib
import io
import zipfile
import zlib
from pathlib import Path

import numpy as np

from uncle_jax.errors import UncleError
from uncle_jax.tasks import Data, InputSpec, as_data

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
    as_data(Data(images, np.zeros(len(images), np.int32)), spec, str(path))
    return images


def _read(path: Path, names: tuple[str, ...]) -> tuple[dict[str, np.ndarray], str]:
    try:
        raw = path.read_bytes()
        with np.load(io.BytesIO(raw), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in names}, hashlib.sha256(raw).hexdigest()
    except OSError as error:
        raise UncleError(f"cannot read {path} ({error.strerror or error})") from None
    except (*MALFORMED, KeyError) as error:
        wanted = " and ".join(names)
        raise UncleError(f"{path} is no .npz with plain arrays {wanted} ({error})") from None


def _deep(images: np.ndarray) -> np.ndarray:
    """[N, H, W] as [N, H, W, 1]."""
    return images[..., None] if images.ndim == 3 else images
