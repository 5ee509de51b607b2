"""Which tasks are learned and which unlearned; every method's state has a `status` [T]."""

import dataclasses
from collections.abc import Sequence
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np
from jax import Array

from uncle_jax.errors import UncleError

NEW, LEARNED, UNLEARNED = 0, 1, 2  # values of `status`

State = TypeVar("State")
"""A frozen dataclass with status [T], key, n_requests and n_unlearned."""


def describe(state: Any) -> dict[str, list[int]]:
    """Which task ids are learned and which unlearned, as Python lists."""
    status = jnp.asarray(state.status).tolist()
    return {
        "learned": [task for task, s in enumerate(status) if s == LEARNED],
        "unlearned": [task for task, s in enumerate(status) if s == UNLEARNED],
    }


def in_range(state: Any, task: int) -> int:
    """`task` as an int, if `state` has room for it. Raises UncleError."""
    n_tasks = len(state.status)
    whole = hasattr(task, "__index__") and not isinstance(task, bool)
    if not whole or not 0 <= int(task) < n_tasks:
        raise UncleError(f"unknown task {task!r} (allowed: 0 to {n_tasks - 1})")
    return int(task)


def checked(state: Any, task: int, learned: bool) -> int:
    """`task` as an int, if it may be learned (or, with `learned`, unlearned). Raises UncleError."""
    task = in_range(state, task)
    if (int(np.asarray(state.status)[task]) == LEARNED) == learned:
        return task
    have = describe(state)["learned"]
    raise UncleError(
        f"task {task} is not learned, so it cannot be unlearned (learned: {have})"
        if learned
        else f"task {task} is already learned; unlearn it first (learned: {have})"
    )


def learned(state: State, task: int, key: Array, **changes: Any) -> State:
    """`state` after a learn request; `key`: the next one's; `changes`: what else is other."""
    return _answered(state, task, LEARNED, key, changes)


def unlearned(state: State, task: int, key: Array, **changes: Any) -> State:
    """`state` after an unlearn request; `key`: the next one's; `changes`: what else is other."""
    return _answered(state, task, UNLEARNED, key, changes)


def checked_classes(classes: Sequence[int], n_classes: int) -> tuple[int, ...]:
    """`classes` of a task with so many, if they may be unlearned. Raises UncleError."""
    wrong = [one for one in classes if not 0 <= one < n_classes]
    if wrong or not classes:
        named = f"unknown class {wrong[0]}" if wrong else "no class is named"
        raise UncleError(f"{named} (allowed: 0 to {n_classes - 1})")
    if len(set(classes)) == n_classes:
        raise UncleError("no other class is left (unlearn the task)")
    return tuple(sorted(set(classes)))


def without_classes(state: Any, key: Array, **changes: Any) -> Any:
    """`state` after a request that unlearned classes of a task, which stays; as `unlearned`."""
    n = state.n_requests + 1, state.n_unlearned + 1
    changes = {"key": key, "n_requests": n[0], "n_unlearned": n[1], **changes}
    return dataclasses.replace(state, **changes)


def _answered(state: Any, task: int, status: int, key: Array, changes: dict[str, Any]) -> Any:
    if status == UNLEARNED:
        changes = {"n_unlearned": state.n_unlearned + 1, **changes}
    return dataclasses.replace(
        state,
        status=state.status.at[task].set(status),
        key=key,
        n_requests=state.n_requests + 1,
        **changes,
    )
