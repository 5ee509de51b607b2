"""What a run leaves in its work directory: config.json, metrics.csv, summary.json.

    WORKDIR/seed<k>/config.json    everything that decided the run, and where it ran
    WORKDIR/seed<k>/metrics.csv    every accuracy, rewritten after each request
    WORKDIR/summary.json           RA, FA, spill, relapse over the seeds, and times

Files are written whole or not at all.
"""

import csv
import io
import json
import math
import os
import platform
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from uncle_jax.engine import Answer, Run
from uncle_jax.errors import UncleError

COLUMNS = ("request", "op", "task", "evaluated_task", "split", "metric", "value")
PACKAGES = ("uncle-jax", "jax", "jaxlib", "flax", "optax", "chex", "numpy")


def write_whole(path: Path, text: str) -> None:
    """Write `text` to `path` by way of a temporary file beside it, so that none is half-written."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
            file.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def prepare(workdir: Path, settings: Mapping[int, Mapping[str, Any]], overwrite: bool) -> None:
    """Make WORKDIR/seed<k> for each seed of `settings`, refusing to write over another run's.

    `settings` are what config.json will hold; a folder whose fingerprint differs is another run's.
    Raises UncleError where it cannot be written or would lose something.
    """
    for seed, ours in settings.items():
        path = workdir / f"seed{seed}" / "config.json"
        try:
            theirs = json.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except (OSError, ValueError) as error:
            raise UncleError(f"cannot read {path} ({error}); choose another --workdir") from None
        if theirs.get("fingerprint") != ours["fingerprint"] and not overwrite:
            raise UncleError(
                f"{workdir} holds another run ({_difference(theirs, ours)}); "
                "choose another --workdir, or add --overwrite"
            )
    try:
        for seed in settings:
            (workdir / f"seed{seed}").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=workdir):
            pass
    except OSError as error:
        raise UncleError(f"cannot write to --workdir {workdir} ({error.strerror})") from None


def _difference(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    """The first setting in which two config.json differ, as "beta 0.1, now 1.0"."""
    for group in (None, "config", "data"):
        a, b = (d if group is None else d.get(group, {}) for d in (theirs, ours))
        for key in ("dataset", "requests", "method") if group is None else b:
            if a.get(key) != b.get(key):
                return f"{key} {a.get(key)}, now {b.get(key)}"
    return f"fingerprint {theirs.get('fingerprint')}, now {ours['fingerprint']}"


def environment() -> dict[str, Any]:
    """Where and with what this process computes: versions, device, XLA_FLAGS, commit of the source.

    XLA_FLAGS and the processor's instructions choose between kernels: times differ, and results in
    their last bits, which training magnifies.
    """
    import jax

    device = jax.devices()[0]
    return {
        "versions": {"python": platform.python_version()} | {n: _version(n) for n in PACKAGES},
        "device": {"platform": device.platform, "kind": device.device_kind, "cpus": os.cpu_count()},
        "processor": _processor(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "commit": _commit(),
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
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
    here = Path(__file__).resolve().parents[1]
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


def write_config(workdir: Path, seed: int, settings: Mapping[str, Any]) -> None:
    """WORKDIR/seed<k>/config.json."""
    write_whole(workdir / f"seed{seed}" / "config.json", json.dumps(settings, indent=1) + "\n")


def write_metrics(workdir: Path, seed: int, answers: Sequence[Answer], split: str) -> None:
    """WORKDIR/seed<k>/metrics.csv: a row for every accuracy (per cent) after every request."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for answer in answers:
        for seen, value in answer.accuracy.items():
            where = (answer.index, answer.request.op, answer.request.task, seen)
            rows.writerow((*where, split, "accuracy", f"{value:.4f}"))
    write_whole(workdir / f"seed{seed}" / "metrics.csv", text.getvalue())


def summarise(runs: Mapping[int, Run], wall_seconds: float) -> dict[str, Any]:
    """summary.json of runs by seed: metrics as {mean, std, per_seed}, then times in seconds.

    std is the sample's (n - 1), 0 for a single seed. learn_seconds and unlearn_seconds are medians
    over requests, compilation apart.
    """
    summary: dict[str, Any] = {}
    for name in next(iter(runs.values())).metrics:
        values = [run.metrics[name] for run in runs.values()]
        std = float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
        summary[name] = {
            "mean": _json(float(np.mean(values))),
            "std": _json(std),
            "per_seed": {str(s): _json(v) for s, v in zip(runs, values, strict=True)},
        }
    answers = [answer for run in runs.values() for answer in run.answers]
    for name, op in (("unlearn_seconds", "U"), ("learn_seconds", "L")):
        seconds = [answer.seconds for answer in answers if answer.request.op == op]
        summary[name] = float(np.median(seconds)) if seconds else None
    summary["compile_seconds"] = sum(answer.compile_seconds for answer in answers)
    summary["wall_seconds"] = wall_seconds
    return summary


def _json(value: float) -> float | None:
    return None if math.isnan(value) else value


def write_summary(workdir: Path, summary: Mapping[str, Any]) -> None:
    """WORKDIR/summary.json."""
    write_whole(workdir / "summary.json", json.dumps(summary, indent=1) + "\n")
