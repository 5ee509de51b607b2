"""What of the paper's tables and figures is run, what is not, and what that would cost. No jax."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, TypeGuard

from uncle_jax.report import paper
from uncle_jax.report.compare import Row
from uncle_jax.runs.spec import RunSpec
from uncle_jax.studies.claims import NOT_RUN, Told, together
from uncle_jax.studies.cost import minutes
from uncle_jax.studies.finished import Finished
from uncle_jax.studies.items import Item
from uncle_jax.studies.table import Found, found


class Asked(NamedTuple):
    """What is asked of all items alike."""

    preset: str
    seeds: tuple[int, ...]
    datasets: tuple[str, ...] = ()  # (): each item's
    data: Any = None


class Part(NamedTuple):
    """An item on one of its data sets."""

    item: Item
    dataset: str
    lines: Found  # each with every finished seed that there is; if none, of its authors' settings

    @property
    def left(self) -> list[RunSpec]:
        """What is asked for and not finished."""
        result = []
        for _, spec, row in self.lines:
            done = {run.seed for run in row.runs} if _is_of(row, spec) else set()
            if missing := tuple(seed for seed in spec.seeds if seed not in done):
                result.append(replace(spec, seeds=missing))
        return result

    @property
    def done(self) -> tuple[int, int]:
        """How many seeds are finished, of how many that are asked for."""
        wanted = sum(len(spec.seeds) for _, spec, _ in self.lines)
        return wanted - sum(len(spec.seeds) for spec in self.left), wanted

    @property
    def run(self) -> bool:
        """Whether anything is."""
        return any(row is not None for *_, row in self.lines)

    @property
    def told(self) -> list[tuple[str, Told]]:
        """Each claim of the paper's on this data set, and what came of it."""
        rows = {
            line.name: row if _is_of(row, spec) else None
            for line, spec, row in self.lines  # a tuned row is held against tuned rows alone
        }
        claims = self.item.claimed(paper.theirs(self.dataset))
        return [(claim.words, claim.test(rows)) for claim in claims]


def parts(items: Iterable[Item], asked: Asked, finished: Finished) -> list[Part]:
    """Every item on every data set that is asked for. Raises UncleError."""
    result = []
    for item in items:
        for dataset in item.datasets(asked.preset):
            if asked.datasets and dataset not in asked.datasets:
                continue
            lines = item.specs(asked.preset, asked.seeds, (dataset,), asked.data)
            told = [
                (line, spec, row or _by_its_authors(spec, finished))
                for line, spec, row in found(lines, finished, only_its_seeds=False)
            ]
            result.append(Part(item, dataset, told))
    return result


def _is_of(row: Row | None, spec: RunSpec) -> TypeGuard[Row]:
    """Whether `row` is there, and under the settings that were asked for."""
    return row is not None and row.source == spec.source


def _by_its_authors(spec: RunSpec, finished: Finished) -> Row | None:
    """The row of a tuned run's method under its authors' settings, to be shown in its place."""
    if spec.source == "authors":
        return None
    return finished.row(replace(spec, config=None, settings=None, source="authors"))


def to_run(of: Iterable[Part]) -> list[RunSpec]:
    """What is left of all `of`, each once, the cheapest data set first."""
    once = {spec.name: spec for part in of for spec in part.left}
    return sorted(once.values(), key=lambda spec: minutes([spec]) / len(spec.seeds))


def verdict(of: Sequence[Part]) -> str:
    """One of all claims on all data sets; "no claim" where the paper makes none."""
    told = [one for part in of for _, one in part.told]
    if not told:
        return "no claim" if any(part.run for part in of) else NOT_RUN
    return together(told)
