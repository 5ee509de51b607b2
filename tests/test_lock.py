import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from uncle_jax import lock
from uncle_jax.errors import UncleError

HOLD = """
import sys, time
from pathlib import Path
from uncle_jax import lock
lock.acquire(Path(sys.argv[1]), write=True)
print("held", flush=True)
time.sleep(60)
"""


def test_a_second_writer_is_told_who_holds_it(tmp_path):
    handle = lock.acquire(tmp_path / "LOCK", write=True)
    for write in (True, False):
        with pytest.raises(UncleError, match=f"is in use by process {os.getpid()}"):
            lock.acquire(tmp_path / "LOCK", write)
    lock.release(handle)
    lock.release(lock.acquire(tmp_path / "LOCK", write=True))


def test_readers_share_and_keep_a_writer_out(tmp_path):
    lock.release(lock.acquire(tmp_path / "LOCK", write=True))
    readers = [lock.acquire(tmp_path / "LOCK", write=False) for _ in range(2)]
    with pytest.raises(UncleError, match="is in use"):
        lock.acquire(tmp_path / "LOCK", write=True)
    for handle in readers:
        lock.release(handle)


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    root = Path(lock.__file__).parents[1]
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "LOCK")],
        cwd=root, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        with pytest.raises(UncleError, match=f"process {child.pid}"):
            lock.acquire(tmp_path / "LOCK", write=True)
        child.send_signal(signal.SIGKILL)
    lock.release(lock.acquire(tmp_path / "LOCK", write=True))


def test_a_link_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("all of it")
    (tmp_path / "LOCK").symlink_to(tmp_path / "precious")
    with pytest.raises(UncleError, match="cannot be written"):
        lock.acquire(tmp_path / "LOCK", write=True)
    assert (tmp_path / "precious").read_text() == "all of it"
