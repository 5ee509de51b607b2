"""What a run leaves in its work directory: config.json, metrics.csv, summary.json.

    WORKDIR/seed<k>/config.json    everything that decided the run, and where it ran
    WORKDIR/seed<k>/metrics.csv    every accuracy, rewritten after each request
    WORKDIR/seed<k>/audit.json     what `uncle audit` found, if it was asked (runs/audit.py)
    WORKDIR/seed<k>/log.jsonl      losses and accuracies, if they are logged (runs/loggers.py)
    WORKDIR/seed<k>/times.json     seconds of its requests, of compilation, and of all
    WORKDIR/summary.json           RA, FA, spill, relapse over the seeds, and times
    WORKDIR/accuracy.png           the same as a picture
    WORKDIR/audit.md, audit.png    all that audits of its seeds tell (cli/audit.py)
    WORKDIR/data.png               a few images of each task, where the data are one's own

Files are written whole or not at all. summary.json and accuracy.png are made from seed*/ alone: of
every finished seed there, whichever process answered it, and whenever.
"""

import csv
import io
import json
import math
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from uncle_jax.errors import UncleError
from uncle_jax.evaluation.answers import Answer
from uncle_jax.files import remove, write_whole
from uncle_jax.report.figures.stream import plot_accuracy
from uncle_jax.report.origin import difference, same_setting
from uncle_jax.report.results import SeedRun, older_times, read_json, read_run, read_seed
from uncle_jax.requests import parse

OPS = {"L": "learn", "U": "unlearn", "C": "unlearn_classes"}
COLUMNS = ("request", "op", "task", "evaluated_task", "split", "metric", "value")


def prepare(
    workdir: Path, settings: Mapping[int, Mapping[str, Any]], overwrite: bool, new: bool = True
) -> None:
    """Make WORKDIR/seed<k> for each seed of `settings`, refusing to write over another run's.

    `settings` are what config.json will hold; a folder whose fingerprint differs is another run's,
    and so is a work directory with a seed of another setting. Unless something is `new`, nothing is
    written, and nothing need be possible to write. Raises UncleError where it cannot be written or
    would lose something.
    """
    there = {path.parent.name: path for path in workdir.glob("seed*/config.json")}
    for name, path in sorted(there.items()):
        try:
            theirs = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UncleError(f"cannot read {path} ({error}); choose another --workdir") from None
        ours = next((s for seed, s in settings.items() if name == f"seed{seed}"), None)
        same = theirs.get("fingerprint") == ours["fingerprint"] if ours else True
        ours = ours or next(iter(settings.values()))
        if not (same and same_setting(theirs, ours)) and not overwrite:
            raise UncleError(
                f"{workdir} holds another run ({difference(theirs, ours)}); "
                "choose another --workdir, or add --overwrite"
            )
    if not new:
        return
    try:
        for seed in settings:
            (workdir / f"seed{seed}").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=workdir):
            pass
    except OSError as error:
        raise UncleError(f"cannot write to --workdir {workdir} ({error.strerror})") from None


def write_config(
    workdir: Path, seed: int, record: Mapping[str, Any], origin: Mapping[str, Any], done: int | None
) -> None:
    """WORKDIR/seed<k>/config.json: `record`, and the `origin` of this process's answers.

    `done`: how many requests an earlier process has answered, None if there was none. A process
    that goes on adds itself to `parts` and leaves the rest as the first wrote it.
    """
    path = workdir / f"seed{seed}" / "config.json"
    there = None if done is None else read_json(path)
    if there is None:
        write_whole(path, _text({**record, **origin}))
    else:
        parts = [*there.get("parts", ()), {"after_requests": done, **origin}]
        write_whole(path, _text({**there, "parts": parts}))


def finished(workdir: Path, seed: int, record: Mapping[str, Any]) -> SeedRun | None:
    """The seed's results if it is finished, and made by what `record` says; nothing is written."""
    try:
        run = read_seed(workdir / f"seed{seed}", seed, read_json(workdir / "summary.json") or {})
    except UncleError:  # damaged: its store knows its answers
        return None
    if not isinstance(run, SeedRun) or run.told.get("fingerprint") != record["fingerprint"]:
        return None
    return run


def answers_of(run: SeedRun) -> Iterator[Answer]:
    """A finished seed's answers, as its files tell them."""
    seconds = {op: iter(run.times.get(f"{name}_seconds", ())) for op, name in OPS.items()}
    for index, request in enumerate(parse(run.told["requests"])):
        accuracy, measured = dict(run.accuracy[index]), dict(run.measured[index])
        took = next(seconds[request.op], math.nan)
        yield Answer(index, request, accuracy, took, 0.0, measured)


def clear(workdir: Path, seed: int) -> None:
    """Remove a seed's results and its audit, which a new run of it replaces."""
    for name in ("metrics.csv", "times.json", "audit.json", "log.jsonl"):
        (workdir / f"seed{seed}" / name).unlink(missing_ok=True)
    remove(*(workdir / f"seed{seed}" / name for name in ("audit", "tensorboard", "wandb")))


class SeedLog:
    """metrics.csv and times.json of one seed, rewritten after each request.

    The clock of wall_seconds starts here, and goes on from where a killed process left it.
    """

    def __init__(self, workdir: Path, seed: int, split: str) -> None:
        self.folder, self.split = workdir / f"seed{seed}", split
        self.answers: list[Answer] = []
        summary = read_json(workdir / "summary.json")
        times = read_json(self.folder / "times.json") or older_times(seed, summary or {})
        self.before: float | None = times["wall_seconds"] if times else None
        self.begun = time.perf_counter()

    def known(self, answers: Sequence[Answer]) -> None:
        """Answers of an earlier process: what they took is known, or nobody knows it."""
        self.answers += answers
        if answers:
            self._write(self.before)

    def add(self, answer: Answer) -> None:
        """An answer of this process."""
        self.answers.append(answer)
        self._write((self.before or 0.0) + time.perf_counter() - self.begun)

    def _write(self, wall_seconds: float | None) -> None:
        times = {
            **{
                f"{name}_seconds": [one.seconds for one in self.answers if one.request.op == op]
                for op, name in OPS.items()
                if op != "C" or any(one.request.op == "C" for one in self.answers)
            },
            "compile_seconds": sum(one.compile_seconds for one in self.answers),
            "wall_seconds": wall_seconds,
        }
        write_whole(self.folder / "times.json", _text(times))
        # last, for a seed is finished once the last request is in it
        write_whole(self.folder / "metrics.csv", metrics_csv(self.answers, self.split))


def metrics_csv(answers: Iterable[Answer], split: str) -> str:
    """A row for every accuracy (per cent) after every request, and for whatever else is known."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for answer in answers:
        for seen, value in answer.accuracy.items():
            where = (answer.index, answer.request.op, answer.request.task, seen)
            rows.writerow((*where, split, "accuracy", f"{value:.4f}"))
        for name, value in answer.measured.items():
            where = (answer.index, answer.request.op, answer.request.task, answer.request.task)
            rows.writerow((*where, split, name, f"{value:.4f}".removesuffix(".0000")))
    return text.getvalue()


def finish(
    workdir: Path, settings: Mapping[str, Any], title: str, new: bool = True
) -> dict[str, Any]:
    """summary.json, which is returned, and accuracy.png of all finished seeds of one setting.

    `settings` is a config.json of that setting; the seeds are added to the picture's `title`.
    Unless something is `new`, files that are there of the same seeds stay as they are.
    """
    seeds = _finished(workdir, settings)
    if not new and _there(workdir, seeds):
        return summarise(seeds)
    while True:
        for run in seeds:
            if not (run.folder / "times.json").exists():  # only in the summary, which goes
                write_whole(run.folder / "times.json", _text(run.times))
        summary = summarise(seeds)
        write_whole(workdir / "summary.json", _text(summary))
        plot_accuracy(
            workdir / "accuracy.png",
            parse(settings["requests"]),
            [run.accuracy for run in seeds],
            seeds[0].chances,
            f"{title}, seeds {', '.join(summary['RA']['per_seed'])}",
            summary["remarks"],
        )
        now = _finished(workdir, settings)
        if _as_text(now) == _as_text(seeds):
            return summary
        seeds = now  # another process finished meanwhile, and its summary may be written over


def _there(workdir: Path, seeds: Sequence[SeedRun]) -> bool:
    """Whether summary.json and accuracy.png are of these seeds."""
    told = read_json(workdir / "summary.json") or {}
    of = told.get("RA", {}).get("per_seed", {}).keys()
    return of == {str(run.seed) for run in seeds} and (workdir / "accuracy.png").exists()


def _as_text(seeds: Sequence[SeedRun]) -> list[str]:
    return [f"{run.seed} {run.accuracy}" for run in seeds]  # nan is not nan, but reads the same


def _finished(workdir: Path, settings: Mapping[str, Any]) -> list[SeedRun]:
    return [run for run in read_run(workdir)[0] if same_setting(run.told, settings)]


def summarise(seeds: Sequence[SeedRun]) -> dict[str, Any]:
    """summary.json of finished seeds: metrics as {mean, std, per_seed}, then times in seconds.

    std is the sample's (n - 1), 0 for a single seed. learn_seconds and unlearn_seconds are medians
    over requests, compilation apart, and means under *_mean; compile_seconds and wall_seconds are
    sums over seeds.
    """
    summary: dict[str, Any] = {}
    for name in seeds[0].metrics:
        values = [run.metrics[name] for run in seeds]
        known = all(map(math.isfinite, values))  # of an infinite one there is no mean
        std = 0.0
        if len(values) > 1:
            std = float(np.std(values, ddof=1)) if known else math.nan
        summary[name] = {
            "mean": float(np.mean(values)) if known else None,
            "std": _json(std),
            "per_seed": {str(run.seed): _json(run.metrics[name]) for run in seeds},
        }
    for name in ("unlearn_seconds", "learn_seconds"):
        seconds = [second for run in seeds for second in run.times[name]]
        summary[name] = float(np.median(seconds)) if seconds else None
        summary[f"{name}_mean"] = float(np.mean(seconds)) if seconds else None  # the paper's UT
    for name in ("compile_seconds", "wall_seconds"):
        known = [run.times[name] for run in seeds if run.times[name] is not None]
        summary[name] = sum(known) if known else None
    chance = {name: seeds[0].chance(name) for name in ("RA", "FA")}
    reads = seeds[0].told.get("reads")
    remarks = list(seeds[0].remarks)
    if bad := [str(run.seed) for run in seeds if not run.finite]:
        remarks.append(f"answers are not finite (NaN or infinite) in seeds {', '.join(bad)}")
    return summary | {"chance": chance, "remarks": remarks, "reads": reads}


def _json(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=1) + "\n"
