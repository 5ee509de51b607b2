"""Jitted pieces, and their rehearsal: what they would compute, counted in place of computed.

Methods are Python loops around jitted functions, the pieces. In a rehearsal a piece is traced and
lowered for the shapes that it is called with, its operations are added up, and zeros come back in
the place of what it would have returned. So any method's own code says what a request takes, at
once and for networks that would not fit this machine's patience.
"""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer

R = TypeVar("R")


class Cost(NamedTuple):
    """What one call of a piece takes, as XLA counts it before it optimises."""

    flops: float
    accessed: float  # bytes read and written, were nothing fused
    peak: int  # bytes of arguments, results and what lies between, were nothing fused


class Rehearsal:
    """What the pieces called so far would have taken."""

    def __init__(self) -> None:
        self.flops = self.accessed = 0.0
        self.peak = 0  # the largest piece's bytes
        self._known: dict[Any, tuple[Cost, list[Array], Any]] = {}
        self._zeros: dict[Any, Array] = {}

    def call(self, jitted: Any, args: Any, kwargs: Any) -> Any:
        """Count one call of `jitted`, and return zeros like its results."""
        leaves, tree = jax.tree.flatten((args, kwargs))
        key = (id(jitted), tree, *map(_kind, leaves))
        if key not in self._known:
            traced = jitted.trace(*args, **kwargs)
            likes, shape = jax.tree.flatten(traced.out_info)
            self._known[key] = _cost(traced), list(map(self._zero, likes)), shape
        cost, zeros, shape = self._known[key]
        self.flops += cost.flops
        self.accessed += cost.accessed
        self.peak = max(self.peak, cost.peak)
        return shape.unflatten(zeros)

    def _zero(self, like: Any) -> Array:
        # One array for all of a shape: a large network's carry is written once, not every step.
        kind = like.shape, like.dtype
        if kind not in self._zeros:
            self._zeros[kind] = _zeros(*kind)
        return self._zeros[kind]


_NOW: contextvars.ContextVar[Rehearsal | None] = contextvars.ContextVar("rehearsal", default=None)


@contextlib.contextmanager
def rehearsal(work: Rehearsal | None = None) -> Iterator[Rehearsal]:
    """Within it, this thread's pieces are counted (or what `work` does with them) and not run."""
    work = Rehearsal() if work is None else work
    token = _NOW.set(work)
    try:
        yield work
    finally:
        _NOW.reset(token)


def rehearsing() -> bool:
    """Whether this thread's pieces are counted and not run."""
    return _NOW.get() is not None


class Piece(Generic[R]):
    """A function, jitted; counted and not run in a rehearsal."""

    def __init__(self, function: Callable[..., R], options: Any) -> None:
        functools.update_wrapper(self, function)
        self.jitted = jax.jit(function, **options)

    def __call__(self, *args: Any, **kwargs: Any) -> R:
        now = _NOW.get()
        if now is None or any(isinstance(a, Tracer) for a in jax.tree.leaves(args)):
            return self.jitted(*args, **kwargs)
        return now.call(self.jitted, args, kwargs)


def piece(**options: Any) -> Callable[[Callable[..., R]], Piece[R]]:
    """Decorates a function that is called from Python's loops; `options` are jax.jit's."""
    return lambda function: Piece(function, options)


def _kind(leaf: Any) -> Any:
    """What decides which trace an argument has."""
    if hasattr(leaf, "shape") and hasattr(leaf, "dtype"):
        return leaf.shape, leaf.dtype
    return leaf


def _zeros(shape: tuple[int, ...], dtype: Any) -> Array:
    if jnp.issubdtype(dtype, jax.dtypes.prng_key):
        return jnp.broadcast_to(jax.random.key(0), shape)
    return jax.device_put(np.zeros(shape, dtype))  # jnp.zeros compiles a program for each shape


def _cost(traced: Any) -> Cost:
    found = traced.lower().cost_analysis() or {}
    peak = _peak(traced.jaxpr.jaxpr)
    return Cost(max(found.get("flops", 0.0), 0.0), found.get("bytes accessed", 0.0), peak)


def _peak(jaxpr: Any) -> int:
    """Most bytes alive at once while the equations run in order; inputs are alive throughout."""
    last = {v: index for index, one in enumerate(jaxpr.eqns) for v in one.invars if _named(v)}
    kept = {v for v in (*jaxpr.invars, *jaxpr.constvars, *jaxpr.outvars) if _named(v)}
    alive = sum(_bytes(v) for v in (*jaxpr.invars, *jaxpr.constvars))
    peak = alive
    for index, one in enumerate(jaxpr.eqns):
        made = sum(map(_bytes, one.outvars))
        inside = max((_between(inner) for inner in _inner(one.params)), default=0)
        peak = max(peak, alive + made + inside)
        alive += made
        done = {v for v in (*one.invars, *one.outvars) if _named(v) and v not in kept}
        alive -= sum(_bytes(v) for v in done if last.get(v, index) == index)
    return peak


def _between(jaxpr: Any) -> int:
    """What an inner program needs beside its inputs and results."""
    return max(_peak(jaxpr) - sum(map(_bytes, (*jaxpr.invars, *jaxpr.outvars))), 0)


def _inner(params: Any) -> Iterator[Any]:
    for value in params.values():
        for one in value if isinstance(value, tuple | list) else (value,):
            if hasattr(one, "jaxpr"):
                yield one.jaxpr
            elif hasattr(one, "eqns"):
                yield one


def _named(v: Any) -> bool:
    return not hasattr(v, "val")  # not a literal


def _bytes(v: Any) -> int:
    aval = v.aval
    size = getattr(aval, "size", 0)
    return size * getattr(getattr(aval, "dtype", None), "itemsize", 0)
