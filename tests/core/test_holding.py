"""What holds the retained tasks: as many rows as are retained, and the same gradient."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import HYPER, TINY, Small

from uncle_jax.config import Hypernetwork, part
from uncle_jax.core import hypernet, objectives, steps
from uncle_jax.core.holding import backward, bucket, drift, forward, hold
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


def through(net, state, phi, held, weight, own=0.0):
    """(outputs of task 0, L_reg, gradients): a step whose loss is `own` times the outputs' sum."""
    at = phi, state.task_emb[0], state.chunk_emb
    out, reg, force = forward(net, *at, held, np.float32(weight))
    of_own = jax.tree.map(lambda o: own * jnp.ones_like(o), out)
    return out, reg, backward(net, *at, held, of_own, force)


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
def test_it_holds_as_all_slots_with_a_mask_do(form, reg_mean, kept):
    units = {"output_space": "theta", "parametrisation": "gain"}
    net = net_of(drift=form, reg_mean=reg_mean, **units)
    state, phi = moved(net, kept)
    held = hold(net, state)
    assert len(held.task_emb) == bucket(len(kept), N_TASKS)
    out, reg, grad = through(net, state, phi, held, weight=0.3, own=0.7)
    np.testing.assert_allclose(reg, drift(net, phi, held), rtol=1e-5)

    def loss(phi, emb, chunk_emb):
        own = hypernet.outputs(phi, emb, chunk_emb)
        held_back = masked(net, state, phi)
        return 0.7 * sum(map(jnp.sum, own.values())) + 0.3 * held_back, (own, held_back)

    differentiate = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2), has_aux=True))
    (_, (want_out, want)), want_grad = differentiate(phi, state.task_emb[0], state.chunk_emb)
    np.testing.assert_allclose(reg, want, rtol=1e-4)
    assert bool(kept) == bool(reg > 0)
    for kind, one in out.items():
        np.testing.assert_allclose(one, want_out[kind], rtol=1e-5, atol=1e-5)
    phi_and_emb, phi_and_emb_wanted = (jax.tree.leaves(g[:2]) for g in (grad, want_grad))
    for one, other in zip(phi_and_emb, phi_and_emb_wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
    if not kept:  # later on chunk embeddings stand still
        np.testing.assert_allclose(grad[2], want_grad[2], rtol=1e-3, atol=1e-5)


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
    _, reg, grad = through(net, state, state.phi, hold(net, state), weight=1)
    assert reg == 0
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(grad))


def test_it_costs_what_is_retained_and_not_what_there_is_room_for():
    net = net_of(drift="auto")
    few, many = (hold(net, moved(net, [1], n_tasks)[0]) for n_tasks in (2, 1000))
    assert jax.tree.map(jnp.shape, few) == jax.tree.map(jnp.shape, many)


def test_it_is_traced_once_for_each_size(monkeypatch):
    net = net_of(beta=0.0321, drift="direct")  # no other test's
    moved(net, [])  # init has a trace of its own
    traced, original = [], hypernet.features

    def counted(trunk, task_emb, chunk_emb):
        traced.append(len(task_emb))
        return original(trunk, task_emb, chunk_emb)

    monkeypatch.setattr(hypernet, "features", counted)
    for kept in ([], [1], [2], [2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6], [7], []):
        state, phi = moved(net, kept)
        through(net, state, phi, hold(net, state), weight=1)
    of_hold, of_steps = 1, 2  # each is traced for its own: phi*'s features, then forward and back
    assert sorted(traced) == sorted([0, 1, 6] * of_hold + [1, 2, 7] * of_steps)
