"""Losses and accuracies while a run goes on, for other programs to show.

    WORKDIR/seed<k>/log.jsonl      a line for every 20th step of a request, and one for its answer
    WORKDIR/seed<k>/tensorboard/   the same as event files (tensorboardX)
    WORKDIR/seed<k>/wandb/         the same for Weights & Biases, where WANDB_MODE says

log.jsonl is there with each of them: by it a run that was killed goes on without saying anything
twice. Requests are numbered from 0, `total` counts optimiser steps over all of them.
"""

import importlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from uncle_jax.errors import UncleError, allowed
from uncle_jax.evaluation.answers import Answer
from uncle_jax.evaluation.metrics import forget_accuracy, retain_accuracy
from uncle_jax.files import write_whole
from uncle_jax.requests import Request, forgotten, retained
from uncle_jax.runs.workdir import OPS

EVERY = 20  # steps between two that are logged; reading a loss waits for the device
LIBRARIES = {"jsonl": "json", "tensorboard": "tensorboardX", "wandb": "wandb"}


class Sink(Protocol):
    """What takes a run's records."""

    def add(self, record: Mapping[str, Any]) -> None: ...

    def close(self) -> None: ...


def check(names: Iterable[str]) -> None:
    """Raise UncleError unless there are loggers of these names, and what they need."""
    for name in names:
        if name not in LIBRARIES:
            raise allowed("logger", name, LIBRARIES)
        try:
            importlib.import_module(LIBRARIES[name])
        except ImportError:
            told = f"--log {name} needs {LIBRARIES[name]}"
            raise UncleError(f"{told} (pip install 'uncle-jax[log]')") from None


class RunLog:
    """One seed's log: `step` and `answer` add to it; without `names` nothing is written.

    `done`: how many requests an earlier process has answered. What the log has of later ones, which
    are answered again, is removed from it.
    """

    def __init__(
        self, folder: Path, names: Sequence[str], requests: Sequence[Request], done: int, run: str
    ) -> None:
        self.requests, self.at, self.seen = requests, done, 0
        self.sinks: list[Sink] = []
        self.total = 0
        if not names:
            return
        known = _kept(folder / "log.jsonl", done)
        self.total = known[-1]["total"] if known else 0
        self.sinks.append(_Lines(folder / "log.jsonl", known))
        if "tensorboard" in names:
            self.sinks.append(_TensorBoard(folder / "tensorboard", self.total, done))
        if "wandb" in names:
            self.sinks.append(_WandB(folder, run, bool(done)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for sink in self.sinks:
            sink.close()

    def step(self, step: int, steps: int, loss: Any) -> None:
        """An optimiser step of the request under way."""
        self.seen = step
        if self.sinks and (step % EVERY == 0 or step == steps):
            told = {"step": step, "steps": steps, "total": self.total + step, "loss": float(loss)}
            self._add(told)

    def answer(self, answer: Answer) -> None:
        """A request's answer, which ends it."""
        self.total, self.seen = self.total + self.seen, 0
        asked = self.requests[: self.at + 1]
        accuracy = {str(task): value for task, value in answer.accuracy.items()}
        told = {"total": self.total, "seconds": answer.seconds, "accuracy": accuracy}
        if retained(asked):
            told["retained"] = retain_accuracy(asked, [answer.accuracy])
        if forgotten(asked):
            told["others"] = forget_accuracy(asked, [answer.accuracy])
        self._add(told)
        self.at += 1

    def _add(self, told: Mapping[str, Any]) -> None:
        op, task, _ = self.requests[self.at]
        for sink in self.sinks:
            sink.add({"request": self.at, "op": OPS[op], "task": task, **told})


def _kept(path: Path, done: int) -> list[dict[str, Any]]:
    """The records of a log up to the answer of its `done`th request; a line cut short ends it."""
    kept = []
    if path.exists() and done:
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                break
            if record["request"] < done:
                kept.append(record)
    return kept


class _Lines:
    """log.jsonl."""

    def __init__(self, path: Path, known: Sequence[Mapping[str, Any]]) -> None:
        write_whole(path, "".join(json.dumps(record) + "\n" for record in known))
        self.file = path.open("a", encoding="utf-8")

    def add(self, record: Mapping[str, Any]) -> None:
        self.file.write(json.dumps(record) + "\n")
        self.file.flush()

    def close(self) -> None:
        self.file.close()


class _TensorBoard:
    """Losses by optimiser step, accuracies by request."""

    def __init__(self, folder: Path, total: int, done: int) -> None:
        writer: Any = importlib.import_module("tensorboardX").SummaryWriter
        # What a killed process told of steps and requests that come again is void.
        self.losses = writer(str(folder / "losses"), purge_step=total + 1)
        self.accuracies = writer(str(folder / "accuracies"), purge_step=done)

    def add(self, record: Mapping[str, Any]) -> None:
        if "loss" in record:
            self.losses.add_scalar(f"loss/{record['op']}", record["loss"], record["total"])
            return
        at = record["request"]
        for name in ("retained", "others", "seconds"):
            if name in record:
                self.accuracies.add_scalar(name, record[name], at)
        for task, value in record["accuracy"].items():
            self.accuracies.add_scalar(f"accuracy/task_{task}", value, at)

    def close(self) -> None:
        self.losses.close()
        self.accuracies.close()


class _WandB:
    """A run of Weights & Biases, which goes on under the same name."""

    def __init__(self, folder: Path, run: str, again: bool) -> None:
        wandb: Any = importlib.import_module("wandb")
        resume = "allow" if again else None
        self.run = wandb.init(project="uncle_jax", name=run, id=run, dir=str(folder), resume=resume)
        self.run.define_metric("loss/*", step_metric="total")
        for name in ("accuracy/*", "retained", "others", "seconds"):
            self.run.define_metric(name, step_metric="request")

    def add(self, record: Mapping[str, Any]) -> None:
        if "loss" in record:
            self.run.log({f"loss/{record['op']}": record["loss"], "total": record["total"]})
            return
        told = {f"accuracy/task_{task}": value for task, value in record["accuracy"].items()}
        told |= {name: record[name] for name in ("retained", "others", "seconds") if name in record}
        self.run.log({**told, "request": record["request"]})

    def close(self) -> None:
        self.run.finish()
