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
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from uncle_jax.errors import UncleError
from uncle_jax.evaluate.answers import Answer, Run
from uncle_jax.files import write_whole

COLUMNS = ("request", "op", "task", "evaluated_task", "split", "metric", "value")


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
