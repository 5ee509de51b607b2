"""What requests led to: an `Answer` each, a `Run` of all."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from uncle_jax.evaluation.metrics import all_metrics
from uncle_jax.requests import Request


@dataclass(frozen=True)
class Answer:
    """What one request led to."""

    index: int  # its place in the sequence, from 0
    request: Request
    accuracy: dict[int, float]  # per cent, of every task seen so far, unlearned ones included
    seconds: float  # of learn or unlearn alone, compilation apart
    compile_seconds: float  # tracing, lowering and compiling, evaluation's included
    measured: Mapping[str, float] = field(default_factory=dict)  # by name, see metrics.Measured


class Run(NamedTuple):
    """A whole sequence, answered."""

    state: Any
    answers: tuple[Answer, ...]

    @property
    def metrics(self) -> dict[str, float]:
        """RA, FA, spill, ... (evaluation/metrics.py)."""
        requests = [answer.request for answer in self.answers]
        accuracy = [answer.accuracy for answer in self.answers]
        return all_metrics(requests, accuracy, [answer.measured for answer in self.answers])
