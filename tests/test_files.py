import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from uncle_jax import files
from uncle_jax.errors import UncleError


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "a"
    files.write(path, b"first")

    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write(path, b"second")
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
    expected = files.digests(tmp_path)
    change(tmp_path)
    assert files.first_difference(tmp_path, expected) == told


def test_removing_a_link_leaves_what_it_points_at(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "link").symlink_to(kept)
    with pytest.raises(UncleError, match="symbolic link"):
        files.refuse_links(tmp_path / "store")
    files.remove(tmp_path / "store" / "link")
    files.remove(tmp_path / "store")
    assert (kept / "file").exists()
    assert not (tmp_path / "store").exists()


def test_a_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UncleError, match="not a plain file"):
        files.refuse_links(tmp_path)


HOLD = """
import sys, time
from pathlib import Path
from uncle_jax import files
files.acquire(Path(sys.argv[1]), write=True)
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_writer_is_told_who_holds_it(tmp_path):
    handle = files.acquire(tmp_path / "LOCK", write=True)
    for write in (True, False):
        with pytest.raises(UncleError, match=f"is in use by process {os.getpid()}"):
            files.acquire(tmp_path / "LOCK", write)
    files.release(handle)
    files.release(files.acquire(tmp_path / "LOCK", write=True))


def test_readers_share_and_keep_a_writer_out(tmp_path):
    files.release(files.acquire(tmp_path / "LOCK", write=True))
    readers = [files.acquire(tmp_path / "LOCK", write=False) for _ in range(2)]
    with pytest.raises(UncleError, match="is in use"):
        files.acquire(tmp_path / "LOCK", write=True)
    for handle in readers:
        files.release(handle)


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    root = Path(files.__file__).parents[1]
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "LOCK")],
        cwd=root, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(UncleError, match=f"process {child.pid}"):
            files.acquire(tmp_path / "LOCK", write=True)
        child.send_signal(signal.SIGKILL)
    files.release(files.acquire(tmp_path / "LOCK", write=True))


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("all of it")
    (tmp_path / "LOCK").symlink_to(tmp_path / "precious")
    with pytest.raises(UncleError, match="cannot be written"):
        files.acquire(tmp_path / "LOCK", write=True)
    assert (tmp_path / "precious").read_text() == "all of it"


def test_what_is_written_at_the_end_is_checked_at_the_start(tmp_path):
    files.require_writable(tmp_path / "new.json", "--output")
    assert not list(tmp_path.iterdir())
    with pytest.raises(UncleError, match=r"--output .* is a folder"):
        files.require_writable(tmp_path, "--output")
    with pytest.raises(UncleError, match=r"there is no folder .*none for --figure"):
        files.require_writable(tmp_path / "none" / "a.png", "--figure")


def test_a_disk_that_is_full_is_one_line_and_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    files.write_whole(path, "before")

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(files.os, "replace", full)
    with pytest.raises(UncleError, match=r"cannot write .*a\.json \(No space left on device\)"):
        files.write_whole(path, b"after")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
