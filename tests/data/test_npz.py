"""Images from .npz files, which may come from anywhere."""

import numpy as np
import pytest
from conftest import SPEC

from uncle_jax.data.npz import read_images, read_npz
from uncle_jax.errors import UncleError


class Trap:
    """Unpickled, it would leave a file."""

    def __reduce__(self):
        return (open, ("trapped", "w"))


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"x": np.zeros((2, 6, 6, 1), np.uint8)}, "y missing; it holds x"),
        ({"x": np.zeros((2, 6, 6, 2)), "y": np.zeros(2, int)}, r"images are \[2, 6, 6, 2\]"),
        ({"x": np.zeros((2, 6, 6)), "y": np.array([0, 3])}, "labels run from 0 to 3"),
        ({"x": np.array([Trap()]), "y": np.zeros(1, int)}, "Object arrays cannot be loaded"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, arrays, told, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "data.npz", **arrays)
    with pytest.raises(UncleError, match=told):
        read_npz(tmp_path / "data.npz", SPEC)
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize("raw", [b"", b"PK\x03\x04 and nothing", b"\x93NUMPY"])
def test_a_file_that_is_no_npz(tmp_path, raw):
    (tmp_path / "data.npz").write_bytes(raw)
    with pytest.raises(UncleError, match=r"cannot be read as \.npz"):
        read_npz(tmp_path / "data.npz", SPEC)
    with pytest.raises(UncleError, match="cannot read"):
        read_npz(tmp_path / "missing.npz", SPEC)


def test_images_need_no_labels(tmp_path):
    np.savez(tmp_path / "images.npz", x=np.zeros((4, 6, 6)))
    assert read_images(tmp_path / "images.npz", SPEC).shape == (4, 6, 6, 1)
