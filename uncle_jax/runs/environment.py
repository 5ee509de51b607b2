"""Where and with what this process computes."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("uncle-jax", "jax", "jaxlib", "flax", "optax", "chex", "numpy")


def environment() -> dict[str, Any]:
    """Where and with what this process computes: versions, device, XLA_FLAGS, commit of the source.

    XLA_FLAGS and the processor's instructions choose between kernels: times differ, and results in
    their last bits, which training magnifies.
    """
    import jax

    device = jax.devices()[0]
    return {
        "versions": {"python": platform.python_version()} | {n: _version(n) for n in PACKAGES},
        "device": {"platform": device.platform, "kind": device.device_kind, "cpus": len(cores())},
        "processor": processor(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "x64": bool(jax.config.read("jax_enable_x64")),
        "commit": _commit(),
    }


def cores() -> list[int]:
    """The cores that this process may use, by number: their count decides results, too."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def processor() -> str:
    """Its name, and its vector instructions where Linux tells them."""
    try:
        first = Path("/proc/cpuinfo").read_text(errors="replace").partition("\n\n")[0]
    except OSError:
        first = ""
    pairs = (line.partition(":") for line in first.splitlines())
    told = {key.strip(): value.strip() for key, _, value in pairs}
    vector = [flag for flag in told.get("flags", "").split() if flag.startswith(("avx", "amx"))]
    name = told.get("model name") or platform.processor() or platform.machine()
    return " ".join([name, *vector])


def _commit() -> str | None:
    """The commit of the source tree this module lies in, with "+" if it is changed; else None."""
    here = Path(__file__).resolve().parents[2]
    git = ["git", "-C", str(here)]
    try:
        top, head = (
            subprocess.run([*git, "rev-parse", what], capture_output=True, text=True, check=True)
            for what in ("--show-toplevel", "HEAD")
        )
        if Path(top.stdout.strip()) != here:
            return None
        status = [*git, "status", "--porcelain", "--untracked-files=no"]
        changed = subprocess.run(status, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changed else "")
