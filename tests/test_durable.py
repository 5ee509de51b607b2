import os

import pytest

from uncle_jax import durable
from uncle_jax.errors import UncleError


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a"
    durable.write(path, b"first")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        durable.write(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda f: (f / "b" / "c").write_bytes(b"123456"), "b/c was changed"),
        (lambda f: (f / "b" / "c").write_bytes(b"12345"), "b/c has 5 bytes instead of 6"),
        (lambda f: (f / "b" / "c").unlink(), "b/c is missing"),
        (lambda f: (f / "new").touch(), "new does not belong there"),
        (lambda f: None, None),
    ],
)
def test_digests_tell_what_differs(tmp_path, change, told):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "c").write_bytes(b"abcdef")
    expected = durable.digests(tmp_path)
    change(tmp_path)
    assert durable.first_difference(tmp_path, expected) == told


def test_removing_a_link_leaves_what_it_points_at(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "link").symlink_to(kept)
    with pytest.raises(UncleError, match="symbolic link"):
        durable.refuse_links(tmp_path / "store")
    durable.remove(tmp_path / "store" / "link")
    durable.remove(tmp_path / "store")
    assert (kept / "file").exists()
    assert not (tmp_path / "store").exists()


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UncleError, match="not a plain file"):
        durable.refuse_links(tmp_path)
