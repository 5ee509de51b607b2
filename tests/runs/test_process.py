"""What a command's process does before it computes."""

import subprocess
import sys

import pytest

from uncle_jax.runs import process

FAULTS = """
import resource, sys
import numpy as np
from uncle_jax.runs.process import keep_freed

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        np.empty(64 << 20, np.uint8).fill(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

assert "jax" not in sys.modules
anew, kept = faults(), keep_freed() and (faults() and faults())
print(anew, kept)
"""


def test_freed_memory_is_used_again():
    done = subprocess.run(
        [sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True
    )
    anew, kept = done.stdout.split()
    if kept == "False":
        pytest.skip("no glibc")
    assert int(kept) < int(anew) / 10


@pytest.mark.parametrize("error", [AttributeError, OSError, TypeError])
def test_elsewhere_it_is_passed_over(monkeypatch, error):
    def missing(name):
        raise error

    monkeypatch.setattr(process.ctypes, "CDLL", missing)
    assert process.keep_freed() is False


def test_a_libc_that_refuses_is_said(monkeypatch):
    class Libc:
        @staticmethod
        def mallopt(option, value):
            return 0

    monkeypatch.setattr(process.ctypes, "CDLL", lambda name: Libc)
    assert process.keep_freed() is False
