"""What changes a CLState, and what it leaves alone; leaves are numbered, nothing is learned."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import HYPER, SPEC, TINY, Small, same

from uncle_jax.core import state as states
from uncle_jax.core.status import LEARNED, NEW, UNLEARNED
from uncle_jax.methods.uncle import uncle


@pytest.fixture(scope="module")
def state():
    """Every leaf another number, tasks 0 and 2 learned and 1 unlearned."""
    shapes = jax.eval_shape(uncle(SPEC, 4, TINY, Small(), HYPER).init, jax.random.key(0))
    leaves, tree = jax.tree.flatten(shapes.replace(key=shapes.status, noise_key=shapes.status))
    filled = jax.tree.unflatten(
        tree, [np.full(leaf.shape, i, leaf.dtype) for i, leaf in enumerate(leaves)]
    )
    status = jnp.array([LEARNED, UNLEARNED, LEARNED, NEW])
    return filled.replace(status=status, key=jax.random.key(0), noise_key=jax.random.key(1))


def test_retained_tasks_are_those_learned_and_not_unlearned(state):
    assert state.retained.tolist() == [True, False, True, False]


def test_a_snapshot_keeps_nothing_of_the_earlier_phi(state):
    assert not same(state.phi, state.phi_star)
    after = states.snapshot(state)
    assert same(after.phi_star, state.phi)
    assert after.task_emb is state.task_emb


def test_one_tasks_statistics(state):
    numbered = jax.tree.map(
        lambda a: np.broadcast_to(np.arange(4).reshape(4, *[1] * (a.ndim - 1)), a.shape),
        state.norm_stats,
    )
    one = states.stats_of(state.replace(norm_stats=numbered), 2)
    assert jax.tree.leaves(one)
    for leaf, all_ in zip(jax.tree.leaves(one), jax.tree.leaves(numbered), strict=True):
        assert leaf.shape == all_.shape[1:]
        assert np.all(leaf == 2)


def test_an_erased_task_has_fresh_statistics_and_the_others_theirs(state):
    stats = jax.tree.map(jnp.asarray, state.norm_stats)
    fresh = jax.tree.map(lambda a: jnp.full(a.shape[1:], -1.0), stats)
    after = states.erase_task(state.replace(norm_stats=stats), 2, fresh)
    assert after.status.tolist() == [LEARNED, UNLEARNED, UNLEARNED, NEW]
    for now, then in zip(jax.tree.leaves(after.norm_stats), jax.tree.leaves(stats), strict=True):
        assert np.all(np.asarray(now[2]) == -1)
        np.testing.assert_array_equal(now[jnp.array([0, 1, 3])], then[jnp.array([0, 1, 3])])
    assert same(after.phi, state.phi)


def test_arrays_by_their_paths_take_the_places_of_leaves():
    tree = {"a": (1, 2), "b": 3}
    assert states.with_arrays(tree, {"['a'][1]": 7, "['nobody']": 8}) == {"a": (1, 7), "b": 3}


def test_a_tasks_row_is_read_and_written_whatever_the_task_by_one_program(state):
    tree = {"a": np.arange(8.0).reshape(4, 2), "b": np.arange(4)}
    programs = states.row_of, states.with_row
    before = [one._cache_size() for one in programs]
    for task in (0, 3):
        row = states.row_of(tree, task)
        np.testing.assert_array_equal(row["a"], tree["a"][task])
        np.testing.assert_array_equal(row["b"], tree["b"][task])
        changed = states.with_row(tree, task, {"a": np.array([-1.0, -2.0]), "b": np.array(-3)})
        np.testing.assert_array_equal(changed["a"][task], [-1, -2])
        assert changed["b"].tolist() == [-3 if t == task else t for t in range(4)]
    assert [one._cache_size() - n for one, n in zip(programs, before, strict=True)] == [1, 1]
