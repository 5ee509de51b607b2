"""Seconds that JAX spends compiling."""

import time
from contextlib import AbstractContextManager
from types import TracebackType

import jax


class CompileClock(AbstractContextManager["CompileClock"]):
    """Counts the seconds that JAX spends tracing, lowering and compiling inside the block."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []  # (start, seconds), none inside another

    @property
    def seconds(self) -> float:
        return sum(seconds for _, seconds in self._spans)

    def _hear(self, event: str, duration_secs: float, **kwargs: str | int) -> None:
        del kwargs
        if event.startswith("/jax/core/compile/"):
            start = time.perf_counter() - duration_secs
            # A jitted function traced inside another reports first, then within the outer's time.
            self._spans = [span for span in self._spans if span[0] < start]
            self._spans.append((start, duration_secs))

    def __enter__(self) -> "CompileClock":
        jax.monitoring.register_event_duration_secs_listener(self._hear)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        jax.monitoring.unregister_event_duration_listener(self._hear)
