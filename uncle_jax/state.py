"""CLState: everything a learner carries from one request to the next, arrays only.

Dimension glossary, for all modules: B batch, T tasks (T_max slots), C chunks, E embedding, K trunk
width, U = K + 1 features, W columns of a head, P main-network parameters, N noise samples,
Y classes.
"""

import dataclasses
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from uncle_jax.errors import UncleError
from uncle_jax.hypernet import Array, Phi

NEW, LEARNED, UNLEARNED = 0, 1, 2  # values of CLState.status


@flax.struct.dataclass
class CLState:
    """The state of a continual learner; a frozen pytree. Only methods/ makes new ones."""

    phi: Phi
    task_emb: Array  # [T, E]
    chunk_emb: Array  # [C, E]; trained in the first request, then frozen (Appendix B)
    status: Array  # [T] int32: NEW, LEARNED or UNLEARNED
    norm_stats: Any  # tree of [T, ...]: running means and variances of each task; {} if none
    phi_star: Phi  # phi as it was after the last request: what drift is measured from
    key: Array  # typed PRNG key; split once per request
    noise_key: Array  # typed PRNG key of the one z of `noise=fixed`; never changes
    n_requests: Array  # int32: answered so far
    n_unlearned: Array  # int32: unlearn requests answered so far (burn-in annealing)

    @property
    def retained(self) -> Array:
        """[T] True for tasks that are learned and not unlearned."""
        return self.status == LEARNED


def snapshot(state: CLState) -> CLState:
    """`state` with phi* = phi (Algorithm 1, line 10): nothing of the earlier phi is kept."""
    return dataclasses.replace(state, phi_star=state.phi)


def stats_of(state: CLState, task: int | Array) -> Any:
    """The norm statistics of one task."""
    return jax.tree.map(lambda a: a[task], state.norm_stats)


def erase_task(state: CLState, task: int | Array, fresh: Any) -> CLState:
    """`state` with `task` UNLEARNED and its norm statistics back at `fresh` (0 and 1)."""
    stats = jax.tree.map(lambda all_, one: all_.at[task].set(one), state.norm_stats, fresh)
    status = state.status.at[task].set(UNLEARNED)
    return dataclasses.replace(state, norm_stats=stats, status=status)


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
    if not 0 <= int(task) < n_tasks:
        raise UncleError(f"unknown task {task} (allowed: 0 to {n_tasks - 1})")
    return int(task)


def checked(state: Any, task: int, learned: bool) -> int:
    """`task` as an int, if it may be learned (or, with `learned`, unlearned). Raises UncleError."""
    task = in_range(state, task)
    if (int(state.status[task]) == LEARNED) == learned:
        return task
    have = describe(state)["learned"]
    raise UncleError(
        f"task {task} is not learned, so it cannot be unlearned (learned: {have})"
        if learned
        else f"task {task} is already learned; unlearn it first (learned: {have})"
    )
