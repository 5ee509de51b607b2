"""Seconds that JAX spends compiling for a 1st, 2nd and 3rd learner with equal settings.

python benchmarks/compilation.py [JSON]

Each is a `uncle(...)` of its own that learns one task of permuted digits for an epoch, is evaluated
and unlearns it, all in one process, at the laptop preset.
"""

import dataclasses
import json
import sys
from pathlib import Path

import jax

from uncle_jax.data.permuted import permuted_digits
from uncle_jax.engine.clock import CompileClock
from uncle_jax.engine.sequence import run_sequence
from uncle_jax.methods.uncle import uncle
from uncle_jax.presets import preset
from uncle_jax.requests import parse
from uncle_jax.runs.environment import environment

LEARNERS = 3


def measure() -> list[float]:
    """Seconds of tracing, lowering and compiling, a learner after another."""
    benchmark = permuted_digits(0)
    chosen = preset("permuted-digits")
    config = dataclasses.replace(chosen.config, epochs=1)
    seconds = []
    for _ in range(LEARNERS):
        with CompileClock() as clock:
            method = uncle(benchmark.spec, benchmark.n_tasks, config, settings=chosen.uncle)
            run_sequence(method, benchmark, parse("L0 U0"), jax.random.key(0))
        seconds.append(clock.seconds)
    return seconds


def main(out: Path | None) -> None:
    """Measure, print, and write to `out` if given."""
    text = json.dumps({"compile_seconds": measure()} | environment(), indent=1)
    print(text)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
