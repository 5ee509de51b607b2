"""Room for more tasks: a learner's state grows, and what it has learned stays as it is."""

from typing import Any

import jax
from jax import Array

from uncle_jax.errors import UncleError
from uncle_jax.methods import registry
from uncle_jax.methods.protocol import Method
from uncle_jax.requests import MOST


def grown(method: Method, state: Any, n_tasks: int) -> tuple[Method, Any]:
    """(`method` with room for `n_tasks` tasks, `state` as it is there), both new.

    Every array of the state begins as it was; what is new of it (slots, embeddings, heads) is as
    drawn. Learned tasks answer as before, to the bit where a network has no head a task. Raises
    UncleError if there would be less room, or tasks differ so that new ones cannot be described.
    """
    if method.origin is None:
        raise UncleError(f"{method.name} does not know what made it, so it cannot grow")
    name, spec, before, config, settings, main_net, _ = method.origin
    if not before <= n_tasks <= MOST:
        raise UncleError(f"room for {n_tasks} tasks (allowed: {before}, as now, to {MOST})")
    if spec.tasks:
        raise UncleError("tasks of this learner differ, so it is made for those that it knows")
    if main_net is not None and registry.METHODS.get(name, "").startswith("multihead."):
        raise UncleError("a main network of one's own has its outputs, and cannot grow")
    wider = registry.build(name, spec, n_tasks, config, settings, main_net)
    fresh = wider.init(jax.random.fold_in(state.key, n_tasks))
    return wider, jax.tree.map(_within, fresh, state.replace(made_by=fresh.made_by))


def _within(new: Array, old: Array) -> Array:
    """`new`, that begins with `old` along every axis."""
    if new.shape == old.shape:
        return old
    return new.at[tuple(map(slice, old.shape))].set(old)
