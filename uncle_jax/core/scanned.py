"""Optimiser steps in a row: Python's loop on a CPU, on an accelerator many of them in one program.

A step is said once, and taken either way. On a CPU a convolution inside `lax.scan` is many times
slower than the same step called from Python; on an accelerator a step is short, and what Python and
the transfers between two of them take is what a scan saves. A scan is compiled once for each number
of steps in it (`even`, `powers`).
"""

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import Array

from uncle_jax.core.pieces import piece, rehearsing

MOST = 64  # steps in one program: a second or so at paper size, and progress is told after it


class Step(NamedTuple):
    """A step without what changes from one to the next, x."""

    run: Callable[[Any, Any, Any, Any], tuple[Any, Array]]
    """(static, carry, given, x) -> (carry, loss); a module's function, so that a scan of it is
    known again. `x` is of the host, and so are `given`'s data where `inputs.resident` says so."""
    static: Hashable
    given: Any  # arrays that stay as they are; never donated


def take(
    step: Step,
    carry: Any,
    xs: Sequence[Any],
    sizes: Sequence[int],
    tell: Callable[[int, int, Any], None] | None = None,
) -> Any:
    """`carry`, which is given away, after a step on each of `xs`, trees of NumPy arrays alike.

    `sizes`: how many of them a scan takes at once. `tell(step, steps, loss)` after each step, or of
    a scan after the next one has begun, so that the device does not wait for who listens.
    """
    if not in_one_program():
        for number, x in enumerate(xs, start=1):
            carry, loss = step.run(step.static, carry, step.given, x)
            if tell:
                tell(number, len(xs), loss)
        return carry

    def tell_of(first: int, losses: Any) -> None:
        for number, loss in enumerate(np.asarray(losses), start=first + 1):
            assert tell
            tell(number, len(xs), loss)

    begun: list[tuple[int, Any]] = []  # scans not told of yet: their first step, their losses
    first = 0
    for size in sizes:
        together = jax.tree.map(lambda *leaves: np.stack(leaves), *xs[first : first + size])
        carry, losses = _scan(step.run, step.static, carry, step.given, together)
        if tell:
            begun.append((first, losses))
        if len(begun) > 1:
            tell_of(*begun.pop(0))
        first += size
    for scan in begun:
        tell_of(*scan)
    return carry


def in_one_program() -> bool:
    """Whether steps are scanned: on an accelerator, unless they are but counted."""
    return jax.default_backend() != "cpu" and not rehearsing()


def even(n: int, most: int = MOST) -> list[int]:
    """`n` steps as scans of `most` at most, of two sizes at most: for an `n` that comes again."""
    parts = math.ceil(n / most)
    return [n // parts + (part < n % parts) for part in range(parts)]


def powers(n: int, most: int = MOST) -> list[int]:
    """`n` steps as scans of powers of two, `most` at most: for an `n` that is another each time."""

    def descending() -> Iterator[int]:
        left, size = n, most
        while left:
            while size > left:
                size //= 2
            yield size
            left -= size

    return list(descending())


@piece(static_argnums=(0, 1), donate_argnums=2)
def _scan(run: Any, static: Any, carry: Any, given: Any, xs: Any) -> tuple[Any, Array]:
    """(carry, losses [K]) after K steps."""
    return jax.lax.scan(lambda carry, x: run(static, carry, given, x), carry, xs)
