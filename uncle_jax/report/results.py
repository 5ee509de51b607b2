"""Finished runs, read back from their work directories."""

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from uncle_jax.errors import UncleError
from uncle_jax.evaluate.metrics import all_metrics
from uncle_jax.requests import parse


class SeedRun(NamedTuple):
    """One finished seed of one work directory."""

    folder: Path  # WORKDIR/seed<k>
    seed: int
    told: Mapping[str, Any]  # config.json
    metrics: Mapping[str, float]
    summary: Mapping[str, Any]


def read_run(folder: Path) -> tuple[list[SeedRun], list[str]]:
    """The finished seeds of a work directory, and a line on each part that is not finished.

    Raises UncleError where it is no work directory of experiments/run.py, or damaged.
    """
    if not folder.is_dir():
        raise UncleError(f"there is no folder {folder}")
    seeds = {int(p.name[4:]): p for p in folder.glob("seed*") if p.name[4:].isdecimal()}
    if not seeds:
        raise UncleError(f"{folder} is not a run: no seed<k> in it (give --workdir's of run.py)")
    summary = _json(folder / "summary.json")
    if summary is None:
        return [], [f"{folder} is not finished: it has no summary.json"]
    runs, skipped = [], []
    for seed, path in sorted(seeds.items()):
        told = _json(path / "config.json")
        try:
            text = (path / "metrics.csv").read_text(encoding="utf-8")
            accuracy = read_accuracy(text, told["requests"]) if told else None
            if accuracy is None or str(seed) not in summary["RA"]["per_seed"]:
                skipped.append(f"{path} is not finished")
                continue
            _ = told["dataset"], told["method"], told["config"].items()
            metrics = all_metrics(parse(told["requests"]), accuracy)
        except FileNotFoundError:
            skipped.append(f"{path} is not finished: it has no metrics.csv")
            continue
        except (OSError, LookupError, TypeError, AttributeError, ValueError) as error:
            raise UncleError(f"{path} is damaged ({type(error).__name__}: {error})") from None
        runs.append(SeedRun(path, seed, told, metrics, summary))
    return runs, skipped


def _json(path: Path) -> Any:
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
            if f"{row['op']}{row['task']}" != str(asked[int(row["request"])]):
                raise ValueError(f"metrics.csv's request {row['request']} is not config.json's")
            accuracy[int(row["request"])][int(row["evaluated_task"])] = float(row["value"])
    return accuracy if accuracy[-1] else None
