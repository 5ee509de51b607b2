"""Methods compared: finished runs are read, merged over seeds into rows, the best marked.

No jax, and nothing is written. Metrics are computed anew from metrics.csv, times are those of
times.json. report/formats.py renders a `Table`.
"""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from uncle_jax.config import as_dict, text_of
from uncle_jax.errors import UncleError
from uncle_jax.methods.inferred import DERPP, OWN
from uncle_jax.methods.registry import ON_DERPP, own_key, short
from uncle_jax.presets import preset
from uncle_jax.report.origin import data_key
from uncle_jax.report.paper import Numbers, printed
from uncle_jax.report.results import SeedRun
from uncle_jax.report.terminal import chance_in_words
from uncle_jax.requests import TABLE_4, forgotten, in_short, parse

KNOWN = (  # in the order of rows; then a user's own, then uncle
    "never", "never-derpp", "delete-head", "reset",
    "ft", "rt", "badteacher", "scrub", "salun", "jit", "gkt", "ssd", "uniclun", "derpp", "lwsf",
    "clpu", "pall", "rt-hnet", "hnet", "jit-hnet", "gkt-hnet", "refit", "only-learning",
)  # fmt: skip
CONTROLS = ("never", "never-derpp", "delete-head", "reset")  # what the numbers mean
REFERENCES = (*CONTROLS, "ft", "rt", "rt-hnet", "clpu", "hnet", "only-learning", "derpp")
GUESSED = 0.05  # what is nearer to chance than that is a broken network
SHOWN = ("RA", "FA", "spill", "relapse")
READS = {
    "none": "nothing",
    "buffer": "its buffer",
    "forget": "forgotten task",
    "forget+retain": "forgotten task, buffer",
    "latest": "latest task",
    "all retained data": "all retained data",
}
OLD_READS = {"uncle": "none", "only-learning": "none"}  # of runs before config.json said it


@dataclass(frozen=True)
class Row:
    """One method with one choice of settings, over its seeds."""

    method: str
    changes: Mapping[str, str]  # from the preset
    runs: tuple[SeedRun, ...]  # by seed
    paper: Numbers | None  # what the paper prints of it
    same: bool  # whether it ran in the paper's setting

    @property
    def source(self) -> str:
        """Whose settings it has where they are not changed."""
        return source(self.runs[0].told)

    @property
    def label(self) -> str:
        tuned = [] if self.source == "authors" else [self.source]
        changed = (f"{k}={v}" for k, v in self.changes.items())
        return " ".join([short(self.method), *tuned, *changed])

    @property
    def inferred(self) -> list[str]:
        """Its own settings that no author has, neither changed nor chosen by trials."""
        known = {*self.changes, *self.runs[0].told.get("chosen", ())}
        names = ((own_key(self.method, key), key) for key in OWN.get(self.method, ()))
        return [key for name, key in names if name not in known]

    @property
    def reads(self) -> str:
        reads = self.runs[0].told.get("reads") or OLD_READS.get(self.method, "-")
        rest = ["a task's other classes"] if self.runs[0].told.get("reads_rest") else []
        shown = READS.get(reads, reads)
        return ", ".join([*([] if rest and shown == "nothing" else [shown]), *rest])

    @property
    def finite(self) -> bool:
        return all(run.finite for run in self.runs)

    @property
    def broken(self) -> bool:
        """Whether nearly nothing is retained: RA is within `GUESSED` of the way up from chance."""
        found, chance = self.mean_std("RA")[0], self.runs[0].chance("RA")
        if found is None or chance is None:
            return False
        return found < chance + GUESSED * (100 - chance)

    @property
    def distance(self) -> float | None:
        """Of the unlearned tasks' accuracies from their own chances: the mean over tasks.

        A task's accuracy is its mean over seeds. None: not known.
        """
        chances = self.runs[0].chances
        gone = forgotten(parse(self.runs[0].told["requests"]))
        if self.mean_std("FA")[0] is None or not chances or not gone:
            return None
        means = {t: statistics.fmean(run.accuracy[-1][t] for run in self.runs) for t in gone}
        return statistics.fmean(abs(means[task] - chances[task]) for task in gone)

    @property
    def seeds(self) -> str:
        return " ".join(str(run.seed) for run in self.runs)

    def mean_std(self, metric: str) -> tuple[float | None, float | None]:
        """Over seeds, std the sample's; None: undefined."""
        values = [run.metrics[metric] for run in self.runs]
        if not all(map(math.isfinite, values)):
            return None, None
        return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None

    def time(self, key: str) -> float | None:
        """Seconds of a seed, the mean over seeds: times.json's `key`, of a list the median."""
        values = [time for run in self.runs if (time := run.time(key)) is not None]
        return statistics.fmean(values) if values else None


class Group(NamedTuple):
    """Rows that can be compared: the same data and requests, the same preset."""

    dataset: str
    preset: str
    requests: str
    remarks: tuple[str, ...]
    rows: tuple[Row, ...]
    data: str = ""  # which, where others have the same name

    @property
    def title(self) -> str:
        """What its rows have alike, in words."""
        sequences = TABLE_4.get(self.dataset, ())
        known = self.requests in sequences
        seq = f"sequence {sequences.index(self.requests) + 1}: " if known else ""
        data = f" (data {self.data})" if self.data else ""
        return f"{self.dataset}{data}, preset {self.preset}, {seq}{in_short(self.requests.split())}"

    def chance(self, metric: str) -> float | None:
        """What a guess is worth to "RA" or "FA", in per cent; None: not known."""
        told = (run.chance(metric) for row in self.rows for run in row.runs)
        return next((chance for chance in told if chance is not None), None)


def groups(runs: Iterable[SeedRun]) -> list[Group]:
    """Runs as rows under their groups. Raises UncleError where a row has a seed twice."""
    found: dict[tuple, dict[tuple, dict[int, SeedRun]]] = {}
    for run in runs:
        told = run.told
        place = (told["dataset"], str(told.get("preset")).lower(), told["requests"], run.remarks)
        place = (*place, data_key(told))
        row = (told["method"], tuple(changes(told).items()), _key(told.get("settings")))
        row = (*row, _key(told.get("code")), source(told))
        seeds = found.setdefault(place, {}).setdefault((*row, _key(told["config"])), {})
        if run.seed in seeds:
            raise UncleError(f"the same seed twice: {seeds[run.seed].folder} and {run.folder}")
        seeds[run.seed] = run
    result = []
    for (dataset, name, requests, remarks, data), rows in found.items():
        made = []
        for (method, changed, *_), seeds in rows.items():
            ordered = tuple(run for _, run in sorted(seeds.items()))
            told, names = ordered[0].told, [name for name, _ in changed]
            own = told.get("settings") or {}
            theirs, same = printed(dataset, requests, method, told["config"], own, names)
            same = same and not remarks and source(told) == "authors"
            made.append(Row(method, dict(changed), ordered, theirs, same))
        sorted_rows = tuple(sorted(_told_apart(made), key=_order))
        several = len({place[-1] for place in found if place[0] == dataset}) > 1
        result.append(
            Group(dataset, name, requests, remarks, sorted_rows, data[:6] if several else "")
        )
    names = list(TABLE_4)
    return sorted(result, key=lambda g: (names.index(g[0]) if g[0] in names else 99, g[:4]))


def _key(settings: Any) -> str:
    return json.dumps(settings, sort_keys=True)


def _order(row: Row) -> tuple:
    known = {name: i for i, name in enumerate(KNOWN)} | {"uncle": len(KNOWN) + 1}
    return known.get(row.method, len(KNOWN)), row.label


def source(told: Mapping[str, Any]) -> str:
    """Whose settings a run has, by its config.json; older ones do not say."""
    return told.get("source", "authors")


def changes(told: Mapping[str, Any]) -> dict[str, str]:
    """config.json's settings that differ from the preset; of older runs, from today's preset."""
    changed = told.get("changes")
    if changed is None:
        try:
            usual = preset(told["dataset"], told.get("preset"))
            base = as_dict(usual.uncle) | as_dict(usual.config)
        except UncleError:
            base = {}
        ours = told["config"] | (told.get("settings") or {})
        changed = {k: v for k, v in ours.items() if k in base and v != base[k]}
    names = {key: key for key in changed}
    for key in changed:  # older runs name every setting of a method's own with the method
        method, dot, own = key.rpartition(".")
        names[key] = own_key(method, own) if dot else key
    return {names[key]: text_of(changed[key]) for key in sorted(changed)}


def _told_apart(rows: Sequence[Row]) -> list[Row]:
    """`rows`, those of one label with what tells them apart added to their changes."""
    result = []
    for row in rows:
        alike = [
            {"method": r.method, "code": _code(r)}
            | r.runs[0].told["config"]
            | (r.runs[0].told.get("settings") or {})
            for r in [row, *(r for r in rows if r is not row and r.label == row.label)]
        ]
        more = {
            key: text_of(alike[0].get(key, "absent"))
            for key in sorted(set().union(*alike))
            if any(_key(a.get(key)) != _key(alike[0].get(key)) for a in alike)
        }
        result.append(replace(row, changes={**row.changes, **more}))
    return result


def _code(row: Row) -> str:
    """The first digits of one's own method's code; of this package's, nothing."""
    return ((row.runs[0].told.get("code") or {}).get("sha256") or "")[:6]


def best(group: Group, metrics: Iterable[str], rank: int = 1) -> set[tuple[str, str]]:
    """(label, metric) of each best value among two or more; equal as printed is equally good.

    `rank` 2: of the second best, where two are not equally the best. Of FA the least distance of
    the unlearned tasks, each from its own chance.
    """
    able = [r for r in group.rows if r.method not in REFERENCES and r.finite and not r.broken]
    marked = set()
    for metric in set(metrics) & {"RA", "FA", "spill", "spill_sum", "relapse", "erosion"}:
        found = {r.label: r.distance if metric == "FA" else r.mean_std(metric)[0] for r in able}
        sign = -1 if metric == "RA" else 1
        worth = {k: sign * round(value, 2) for k, value in found.items() if value is not None}
        places = sorted(worth.values())
        if len(worth) > 1 and (rank == 1 or places[rank - 1] > places[rank - 2]):
            marked |= {(k, metric) for k, value in worth.items() if value == places[rank - 1]}
    return marked


def number(mean: float | None, std: float | None = None) -> str:
    """A mean, with its standard deviation if it has one; - for none."""
    return "-" if mean is None else f"{mean:.2f}" + ("" if std is None else f" ± {std:.2f}")


class Table(NamedTuple):
    """A group as text, still in no format: the first two columns are words."""

    title: str
    head: list[str]
    body: list[list[str]]
    marked: set[tuple[int, int]]  # (line, column) of the best
    notes: list[str]
    second: frozenset[tuple[int, int]] = frozenset()  # (line, column) of the second best
    numbers: str = "Mean ± sample standard deviation over seeds"  # what a cell's are
    label: str = ""  # by which a paper refers to it; "": the title's own


def label_of(title: str) -> str:
    """A title up to a sequence's requests, by which a paper can refer to its table."""
    return title.partition(": ")[0]  # a data set's name may have a colon


def table_of(group: Group, metrics: Sequence[str], paper_anyway: bool = False) -> Table:
    """The table of a group; the paper's numbers stand by a row in its setting, or `anyway`."""
    rows, marks, seconds = group.rows, best(group, metrics), best(group, metrics, 2)
    paper = [row.paper if row.same or paper_anyway else None for row in rows]
    columns = [("method", [r.label for r in rows]), ("reads", [r.reads for r in rows])]
    marked, second = set(), set()
    for name in (*metrics, "seconds"):
        if name == "seconds":
            columns.append(("s/unlearning", [number(r.time("unlearn_seconds")) for r in rows]))
        else:
            at = len(columns)
            marked |= {(i, at) for i, r in enumerate(rows) if (r.label, name) in marks}
            second |= {(i, at) for i, r in enumerate(rows) if (r.label, name) in seconds}
            columns.append((name, [number(*row.mean_std(name)) for row in rows]))
        cells = [number(getattr(p, name, None), getattr(p, f"{name}_std", None)) for p in paper]
        if set(cells) != {"-"}:
            columns.append((f"{columns[-1][0]} (paper)", cells))
    minutes = [row.time("wall_seconds") for row in rows]
    columns.append(("min/seed", [number(m and m / 60) for m in minutes]))
    columns.append(("seeds", [row.seeds for row in rows]))
    head = [name for name, _ in columns]
    body = [list(line) for line in zip(*(cells for _, cells in columns), strict=True)]
    notes = _notes(group, head, marked, paper)
    return Table(group.title, head, body, marked, notes, frozenset(second))


def _notes(group: Group, head: list[str], marked: set, paper: list[Numbers | None]) -> list[str]:
    notes = [f"data: {remark}" for remark in group.remarks]
    what = "best marked: RA highest, FA nearest to chance by task, spill and relapse lowest; "
    notes.append((what if marked else "") + chance_in_words(group.chance("RA"), group.chance("FA")))
    names = list(dict.fromkeys(r.method for r in group.rows if r.method in REFERENCES))
    if names:
        why = "they do not unlearn, see all retained data, keep a network a task, or are controls"
        notes.append(f"references, never marked best ({why}): {', '.join(names)}")
    if any(row.method == "clpu" for row in group.rows):
        notes.append("clpu: the forgotten task's network is gone, so FA and relapse are undefined")
    if guessed := {row.label: ", ".join(row.inferred) for row in group.rows if row.inferred}:
        told = "; ".join(f"{label}: {keys}" for label, keys in guessed.items())
        if any(row.method in ON_DERPP for row in group.rows):
            told += f"; all on DER++: {', '.join(DERPP)}"
        notes.append(f"inferred, where the originals are silent (docs/methods.md): {told}")
    if any(row.method == "uniclun" for row in group.rows):
        notes.append("uniclun: as built, BadTeacher under Adam with another weighting of its terms")
    if bad := [row.label for row in group.rows if row.finite and row.broken]:
        notes.append(f"RA near chance, so never best: {', '.join(bad)}")
    if bad := [row.label for row in group.rows if not row.finite]:
        notes.append(f"answers not finite (NaN, infinite), so never best: {', '.join(bad)}")
    devices = sorted({_device(run.told) for row in group.rows for run in row.runs})
    if len(devices) > 1:
        notes.append(f"times are from different machines: {', '.join(devices)}")
    if any(p and not row.same for p, row in zip(paper, group.rows, strict=True)):
        told = " on Permuted-MNIST" if group.dataset == "permuted-digits" else ""
        notes.append(f"(paper){told}: another setting than these runs' (ResNet, images, epochs)")
    if "s/unlearning (paper)" in head:
        notes.append("s/unlearning (paper): on a V100")
    return notes


def _device(told: Mapping[str, Any]) -> str:
    device = told.get("device") or {}
    cpus = f" x{device.get('cpus')}" if device.get("platform") == "cpu" else ""
    return f"{device.get('kind', 'unknown')}{cpus}"
