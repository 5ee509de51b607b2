"""What holds the retained tasks: as many rows as are retained, and the same pull."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import HYPER, TINY, Small

from uncle_jax.config import Hypernetwork, part
from uncle_jax.core import objectives, steps
from uncle_jax.core.holding import bucket, drift, hold, pull
from uncle_jax.core.network import network
from uncle_jax.core.status import LEARNED, UNLEARNED

N_TASKS = 9


def net_of(**changes):
    settings = dataclasses.replace(HYPER, **changes)
    return network(Small(), (6, 6, 1), TINY, part(Hypernetwork, settings))


def moved(net, kept, n_tasks=N_TASKS):
    """(a state that retains `kept`, a phi that has moved from its phi*)."""
    state = steps.init(net, n_tasks, jax.random.key(1))
    status = state.status.at[0].set(UNLEARNED).at[jnp.asarray(kept, int)].set(LEARNED)
    state = dataclasses.replace(state, status=status)
    return state, jax.tree.map(lambda a: a + 0.01 * jnp.sin(50 * a), state.phi)


def masked(net, state, phi):
    """L_reg over all of the slots, those that are not retained with weight 0."""
    kept = state.retained.astype(jnp.float32)
    count = len(kept) if net.hyper.reg_mean == "benchmark" else jnp.maximum(kept.sum(), 1)
    where = state.task_emb, state.chunk_emb
    anchor = objectives.drift_anchor(
        state.phi_star, *where, kept / count, net.layout, "direct", net.drift_gains
    )
    return objectives.drift(phi, anchor, *where, net.layout, net.drift_gains)


def test_buckets():
    sizes = [bucket(n, 1000) for n in range(26)]
    assert sizes == [
        *(0, 1, 2, 3, 4, 6, 6, 8, 8, 12, 12, 12, 12, *[16] * 4, *[24] * 8, 32),
    ]
    assert [bucket(n, 5) for n in range(6)] == [0, 1, 2, 3, 4, 5]
    assert all(n <= bucket(n, 1000) <= max(n, 1.5 * n) for n in range(1000))


@pytest.mark.parametrize(
    ("form", "reg_mean", "kept"),
    [
        ("direct", "retained", []),
        ("exact", "retained", []),
        ("direct", "benchmark", [2]),
        ("exact", "retained", [8, 1, 3]),
        ("direct", "retained", [1, 2, 3, 5, 7]),
        ("exact", "benchmark", [1, 2, 3, 5, 7]),
    ],
)
def test_the_pull_is_that_of_all_slots_with_a_mask(form, reg_mean, kept):
    units = {"output_space": "theta", "parametrisation": "gain"}
    net = net_of(drift=form, reg_mean=reg_mean, **units)
    state, phi = moved(net, kept)
    held = hold(net, state)
    assert len(held.task_emb) == bucket(len(kept), N_TASKS)
    reg, grad = pull(net, phi, held, np.float32(0.3))
    np.testing.assert_allclose(reg, drift(net, phi, held), rtol=1e-5)
    want, want_grad = jax.jit(jax.value_and_grad(lambda phi: masked(net, state, phi)))(phi)
    np.testing.assert_allclose(reg, want, rtol=1e-4)
    assert bool(kept) == bool(reg > 0)
    for one, other in zip(jax.tree.leaves(grad), jax.tree.leaves(want_grad), strict=True):
        np.testing.assert_allclose(one, 0.3 * other, rtol=1e-3, atol=1e-6)


def test_unlearning_divides_by_those_retained_whatever_learning_does():
    """As the authors' code, whose learning divides by all tasks of the benchmark."""
    net = net_of(reg_mean="benchmark")
    state, phi = moved(net, [1, 2, 3])
    learning, unlearning = (
        drift(net, phi, hold(net, state, unlearning=asked)) for asked in (False, True)
    )
    np.testing.assert_allclose(unlearning, learning * N_TASKS / 3, rtol=1e-5)
    usual = net_of()
    same = [drift(usual, phi, hold(usual, state, unlearning=asked)) for asked in (False, True)]
    np.testing.assert_array_equal(*same)


def test_where_phi_has_not_moved_nothing_pulls():
    net = net_of()
    state, _ = moved(net, [1, 2])
    reg, grad = pull(net, state.phi, hold(net, state), np.float32(1))
    assert reg == 0
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(grad))


def test_it_costs_what_is_retained_and_not_what_there_is_room_for():
    net = net_of(drift="auto")
    few, many = (hold(net, moved(net, [1], n_tasks)[0]) for n_tasks in (2, 1000))
    assert jax.tree.map(jnp.shape, few) == jax.tree.map(jnp.shape, many)


def test_it_is_traced_once_for_each_size(monkeypatch):
    net = net_of(beta=0.0321)  # no other test's
    traced, original = [], objectives.drift

    def counted(phi, anchor, task_emb, *more):
        traced.append(len(task_emb))
        return original(phi, anchor, task_emb, *more)

    monkeypatch.setattr(objectives, "drift", counted)
    for kept in ([], [1], [2], [2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6], [7], []):
        state, phi = moved(net, kept)
        pull(net, phi, hold(net, state), np.float32(1))
    assert traced == [0, 1, 6]
