"""Finished runs, read back from their work directories."""

import csv
import io
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, NamedTuple

from uncle_jax.config import Config, Hypernetwork, Uncle, completed
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.metrics import OF_MEASURED, all_metrics
from uncle_jax.methods.registry import HYPERNETWORK
from uncle_jax.requests import forgotten, parse, retained

OF_AUDIT = ("relearn",)
OF_NETWORKS = tuple(name for name in OF_MEASURED if name.startswith(("UNI", "MIA")))
UNDEFINED = {
    "clpu": ("FA", "relapse", "relapse_signed", *OF_NETWORKS)
}  # it has no network of a forgotten task


class SeedRun(NamedTuple):
    """One finished seed of one work directory."""

    folder: Path  # WORKDIR/seed<k>
    seed: int
    told: Mapping[str, Any]  # config.json
    accuracy: Sequence[Mapping[int, float]]  # per cent, after each request, of every task seen
    metrics: Mapping[str, float]
    times: Mapping[str, Any]  # times.json (runs/workdir.py)
    summary: Mapping[str, Any]  # summary.json; {} if there is none yet
    measured: Sequence[Mapping[str, float]]  # after each request (metrics.Measured)

    @property
    def chances(self) -> Mapping[int, float] | None:
        """Accuracy of a guess on each task in per cent; of older runs the mean over all tasks."""
        told: Any = self.told.get("chance", self.summary.get("chance"))
        tasks = {one.task for one in parse(self.told["requests"])}
        if isinstance(told, Mapping):
            return {task: told[str(task)] for task in tasks}
        return None if told is None else dict.fromkeys(tasks, float(told))

    def chance(self, metric: str) -> float | None:
        """What a guess is worth to "RA", or to "FA": on those tasks alone; None: not known."""
        of = {"RA": retained, "FA": forgotten}[metric](parse(self.told["requests"]))
        return statistics.fmean(self.chances[task] for task in of) if self.chances and of else None

    def time(self, key: str) -> float | None:
        """Seconds: times.json's `key`, of a list the median; None: not known, or none.

        Unlearnings are those of tasks, and of classes of them.
        """
        told = self.times[key]
        if key == "unlearn_seconds":
            told = [*told, *self.times.get("unlearn_classes_seconds", ())]
        if told in (None, []):
            return None
        return statistics.median(told) if isinstance(told, Sequence) else told

    @property
    def finite(self) -> bool:
        """Whether every network answered with finite logits, so that accuracies are known."""
        return all(math.isfinite(value) for seen in self.accuracy for value in seen.values())

    @property
    def remarks(self) -> tuple[str, ...]:
        return tuple(self.told.get("remarks", self.summary.get("remarks", ())))


def read_run(folder: Path) -> tuple[list[SeedRun], list[str]]:
    """The finished seeds of a work directory, and a line on each part that is not finished.

    A seed is finished once its last request is in metrics.csv and its times are known. Raises
    UncleError where it is no work directory of `uncle run`, or damaged.
    """
    if not folder.is_dir():
        raise UncleError(f"there is no folder {folder}")
    seeds = {int(p.name[4:]): p for p in folder.glob("seed*") if p.name[4:].isdecimal()}
    if not seeds:
        raise UncleError(f"{folder} is not a run: no seed<k> in it (give uncle run's --workdir)")
    summary = read_json(folder / "summary.json") or {}
    if not summary and not any((path / "times.json").exists() for path in seeds.values()):
        return [], [f"{folder} is not finished: it has no summary.json"]
    runs, skipped = [], []
    for seed, path in sorted(seeds.items()):
        found = read_seed(path, seed, summary)
        runs += [found] if isinstance(found, SeedRun) else []
        skipped += [found] if isinstance(found, str) else []
    return runs, skipped


def read_seed(path: Path, seed: int, summary: Mapping[str, Any]) -> SeedRun | str:
    """A finished seed, or a line on why it is none. Raises UncleError where it is damaged."""
    told, times = read_json(path / "config.json"), read_json(path / "times.json")
    try:
        text = (path / "metrics.csv").read_text(encoding="utf-8")
        accuracy = read_accuracy(text, told["requests"]) if told else None
        if times is None:
            times = older_times(seed, summary)
        if accuracy is None or times is None:
            return f"{path} is not finished"
        measured = read_measured(text, told["requests"])
        _ = told["dataset"], told["method"], told["config"].items(), times["wall_seconds"]
        metrics = all_metrics(parse(told["requests"]), accuracy, measured)
        metrics["relearn"] = relearn_advantage(read_json(path / "audit.json") or {})
        metrics |= dict.fromkeys(UNDEFINED.get(told["method"], ()), math.nan)
    except FileNotFoundError:
        return f"{path} is not finished: it has no metrics.csv"
    except (OSError, LookupError, TypeError, AttributeError, ValueError) as error:
        why = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
        raise UncleError(f"{path} is damaged, or not of uncle run ({why})") from None
    return SeedRun(path, seed, modern(told), accuracy, metrics, times, summary, measured)


def relearn_advantage(audit: Mapping[str, Any]) -> float:
    """Relearn advantage: accuracy after an epoch on an unlearned task, over the control's.

    The control learned and unlearned another task in its place. Percentage points, the mean over
    the tasks that audit.json has in both; nan: none.
    """
    epochs = audit.get("settings", {}).get("relearning", {}).get("epochs", ())
    if 1.0 not in epochs:
        return math.nan
    found: dict[str, dict[int, float]] = {"run": {}, "swapped": {}}
    for one in audit.get("found", ()):
        piece = one["piece"]
        if (piece["attack"], piece["role"]) == ("relearning", "unlearned"):
            values = [repeat[epochs.index(1.0)] for repeat in one["accuracy"]]
            found.setdefault(piece["state"], {})[piece["task"]] = statistics.fmean(values)
    run, control = found["run"], found["swapped"]
    gains = [run[task] - control[task] for task in run.keys() & control.keys()]
    return statistics.fmean(gains) if gains else math.nan


def modern(told: Mapping[str, Any]) -> dict[str, Any]:
    """config.json; of a run by an earlier version, as it would be today.

    That lacks the newest settings, or its Config held UnCLe's.
    """
    shared = {field.name for field in fields(Config)}
    config = completed({k: v for k, v in told["config"].items() if k in shared}, Config)
    moved = {key: value for key, value in told["config"].items() if key not in shared}
    settings = told.get("settings") or {}
    if told["method"] in HYPERNETWORK:
        kind = Uncle if told["method"] == "uncle" else Hypernetwork
        settings = completed(moved | settings, kind)
    return {**told, "config": config, **({"settings": settings} if settings else {})}


def older_times(seed: int, summary: Mapping[str, Any]) -> dict[str, Any] | None:
    """A seed's share of the times in a summary.json older than times.json; None: not its seed."""
    if not summary or str(seed) not in summary["RA"]["per_seed"]:
        return None
    n = len(summary["RA"]["per_seed"])
    times: dict[str, Any] = {}
    for name in ("learn_seconds", "unlearn_seconds"):  # medians over requests
        times[name] = [] if summary.get(name) is None else [summary[name]]
    for name in ("compile_seconds", "wall_seconds"):  # sums over seeds
        times[name] = None if summary.get(name) is None else summary[name] / n
    return times


def read_json(path: Path) -> Any:
    """What a JSON file holds; None if there is none. Raises UncleError if it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UncleError(f"cannot read {path} ({error})") from None


def read_accuracy(text: str, requests: str) -> list[dict[int, float]] | None:
    """`accuracy[i][t]` from metrics.csv's text; None if the last request is not answered yet."""
    asked = parse(requests)
    accuracy: list[dict[int, float]] = [{} for _ in asked]
    for row in csv.DictReader(io.StringIO(text)):
        if row["metric"] == "accuracy":
            one = asked[int(row["request"])]
            if (row["op"], row["task"]) != (one.op, str(one.task)):
                raise ValueError(f"metrics.csv's request {row['request']} is not config.json's")
            accuracy[int(row["request"])][int(row["evaluated_task"])] = float(row["value"])
    return accuracy if accuracy[-1] else None


def read_measured(text: str, requests: str) -> list[dict[str, float]]:
    """`measured[i]` from metrics.csv's text; nothing of it in runs of earlier versions."""
    measured: list[dict[str, float]] = [{} for _ in parse(requests)]
    for row in csv.DictReader(io.StringIO(text)):
        if row["metric"] != "accuracy":
            measured[int(row["request"])][row["metric"]] = float(row["value"])
    return measured
