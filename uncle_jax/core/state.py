"""CLState: everything a learner carries from one request to the next, arrays only.

Dimension glossary, for all modules: B batch, T tasks (T_max slots), C chunks, E embedding, K trunk
width, U = K + 1 features, W columns of a head, P main-network parameters, N noise samples,
Y classes.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
from jax import Array

from uncle_jax.core.hypernet import Phi
from uncle_jax.core.status import LEARNED, UNLEARNED


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
    made_by: str = flax.struct.field(pytree_node=False, default="")  # protocol.remembering

    @property
    def retained(self) -> Array:
        """[T] True for tasks that are learned and not unlearned."""
        return self.status == LEARNED


def snapshot(state: CLState) -> CLState:
    """`state` with phi* = phi (Algorithm 1, line 10): nothing of the earlier phi is kept."""
    return dataclasses.replace(state, phi_star=state.phi)


@jax.jit
def row_of(tree: Any, task: int | Array) -> Any:
    """The row `task` of a tree of [T, ...]: one program for all leaves and tasks."""
    return jax.tree.map(lambda a: a[task], tree)


@jax.jit
def with_row(tree: Any, task: int | Array, row: Any) -> Any:
    """A tree of [T, ...] with `row` in the place of its row `task`."""
    return jax.tree.map(lambda all_, one: all_.at[task].set(one), tree, row)


def stats_of(state: CLState, task: int | Array) -> Any:
    """The norm statistics of one task."""
    return row_of(state.norm_stats, task)


def erase_task(state: CLState, task: int | Array, fresh: Any) -> CLState:
    """`state` with `task` UNLEARNED and its norm statistics back at `fresh` (0 and 1)."""
    rows = (state.norm_stats, state.status)
    stats, status = with_row(rows, task, (fresh, jnp.asarray(UNLEARNED)))
    return dataclasses.replace(state, norm_stats=stats, status=status)


def with_arrays(state: Any, arrays: Mapping[str, Any]) -> Any:
    """`state`, any pytree, with the leaves that `arrays` names by path (".phi.trunk[0].w")."""

    def one(path: Any, leaf: Any) -> Any:
        return arrays.get(jax.tree_util.keystr(path), leaf)

    return jax.tree_util.tree_map_with_path(one, state)
