"""Scripts of another checkout, timed: what the benchmarks against an earlier commit share."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path


def timed(checkout: Path, script: str, *words: str) -> tuple[float, float]:
    """(wall, CPU) seconds of `experiments/SCRIPT words`, in a process of its own."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(checkout / "experiments" / script), *words],
        env=os.environ | {"PYTHONPATH": str(checkout)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{checkout}/experiments/{script}: exit {done.returncode}\n{done.stderr}")
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def commit_of(checkout: Path) -> str:
    """The commit that is checked out, shortened."""
    command = ["git", "-C", str(checkout), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
