"""Finished runs below folders, found by what they are and not by their folders' names. No jax."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from uncle_jax.config import text_of
from uncle_jax.report.compare import Row, changes, groups, source
from uncle_jax.report.results import SeedRun, read_run
from uncle_jax.runs.spec import RunSpec


class Finished:
    """Every finished seed of the work directories below `folders`; where one is twice, the first.

    A folder that there is not holds nothing. Raises UncleError where one holds a damaged run.
    """

    def __init__(self, folders: Iterable[Path]) -> None:
        self._runs: dict[tuple, dict[int, SeedRun]] = {}
        for folder in folders:
            places = sorted(folder.iterdir()) if folder.is_dir() else []
            for place in places:
                if place.is_dir() and any(place.glob("seed*")):
                    for run in read_run(place)[0]:
                        self._runs.setdefault(_of_run(run), {}).setdefault(run.seed, run)

    def row(self, spec: RunSpec, only_its_seeds: bool = False) -> Row | None:
        """The finished seeds of what `spec` runs, all or its own, as a row; None: there is none."""
        every = sorted(self._runs.get(_of_spec(spec), {}).items())
        found = [run for seed, run in every if not only_its_seeds or seed in spec.seeds]
        return groups(found)[0].rows[0] if found else None


def _of_run(run: SeedRun) -> tuple:
    told = run.told
    place = told["dataset"], str(told.get("preset")).lower(), told["requests"]
    return (*place, told["method"], source(told), *_sorted(changes(told)))


def _of_spec(spec: RunSpec) -> tuple:
    changed = {key: text_of(value) for key, value in spec.changes.items()}
    place = spec.dataset, spec.preset, " ".join(map(str, spec.requests))
    return (*place, spec.method, spec.source, *_sorted(changed))


def _sorted(changed: Mapping[str, Any]) -> tuple:
    return tuple(sorted(changed.items()))
