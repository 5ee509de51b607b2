import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import HYPER, TINY, Small

from uncle_jax.config import Hypernetwork, part
from uncle_jax.core import refit, steps
from uncle_jax.core.network import network
from uncle_jax.core.objectives import features_of_rows

NET = network(Small(), (6, 6, 1), TINY, part(Hypernetwork, HYPER))
SURPLUS = 1


@pytest.fixture(scope="module")
def old():
    return steps.init(NET, 3, jax.random.key(0))


@pytest.fixture(scope="module")
def to(old):
    """The networks of two tasks, and a surplus one that weighs nothing."""
    emb = old.task_emb.at[2].set(7.0)
    out = refit.networks(NET, old.phi, emb, old.chunk_emb)
    return refit.Networks(out, jnp.asarray([0.5, 0.5, 0.0]))


def begun(seed=1):
    new = steps.init(NET, 3, jax.random.key(seed))
    return refit.start(new.phi, new.task_emb, new.chunk_emb)


def distance(carry, to, n=2):
    """sum_n w_n || H(e_n) - out_n ||^2 over the slots in use, by NumPy."""
    total = 0.0
    for kind, out in refit.networks(NET, carry.phi, carry.emb, carry.chunk_emb).items():
        error = np.square(np.asarray(out) - np.asarray(to.out[kind]))[:n]
        cut = NET.layout.whole_width(kind)
        total += 0.5 * (error[:, :cut].sum() + (NET.layout.mask(kind).T * error[:, cut:]).sum())
    return total


def test_networks_are_the_generators_own(old):
    out = refit.networks(NET, old.phi, old.task_emb, old.chunk_emb)
    one = steps.outputs(NET, old.phi, old.task_emb[1], old.chunk_emb)
    for kind, both in out.items():
        np.testing.assert_allclose(both[1], one[kind], rtol=1e-5, atol=1e-6)


def test_steps_bring_a_new_hypernetwork_near_and_surplus_weighs_nothing(to):
    carry = begun()
    at_first = distance(carry, to)
    other = to._replace(out=jax.tree.map(lambda a: a.at[2].set(99.0), to.out))
    twin = begun()
    for _ in range(30):
        carry, loss = refit.step(NET, carry, to, np.float32(1e-2))
        twin, _ = refit.step(NET, twin, other, np.float32(1e-2))
        if carry.optimiser.count == 1:
            assert float(loss) == pytest.approx(at_first, rel=1e-4)
    assert distance(carry, to) < 0.5 * at_first
    np.testing.assert_array_equal(carry.phi.trunk[0].w, twin.phi.trunk[0].w)


def test_the_solution_leaves_what_least_squares_leave(to):
    carry, _ = refit.step(NET, begun(), to, np.float32(1e-2))
    phi = refit.solve(NET, carry, to)
    assert distance(carry._replace(phi=phi), to) <= distance(carry, to)
    # By NumPy, on the columns whose every slot is used: 14 rows of 17 features can be met.
    u = np.asarray(features_of_rows(carry.phi, carry.emb, carry.chunk_emb), np.float64)[:14]
    for kind, head in phi.heads.items():
        cut = NET.layout.whole_width(kind)
        target = np.moveaxis(np.asarray(to.out[kind], np.float64), 2, 1).reshape(21, -1)[:14, :cut]
        old = np.asarray(carry.phi.heads[kind], np.float64)[:, :cut]
        nearest = old + np.linalg.lstsq(u, target - u @ old, rcond=3e-4)[0]
        left, best = (np.square(u @ h - target).sum() for h in (np.asarray(head)[:, :cut], nearest))
        assert left <= best + 1e-3 * np.square(target).sum()


def test_with_features_enough_nothing_is_left(to):
    """One network: 7 rows."""
    one = refit.Networks(jax.tree.map(lambda a: a[:1], to.out), jnp.ones(1))
    carry = begun()
    first = carry._replace(emb=carry.emb[:1])
    found = refit.networks(NET, refit.solve(NET, first, one), first.emb, first.chunk_emb)
    for kind, out in found.items():
        cut = NET.layout.whole_width(kind)
        np.testing.assert_allclose(out[0, :cut], one.out[kind][0, :cut], atol=2e-2)
        np.testing.assert_allclose(
            NET.layout.mask(kind).T * out[0, cut:],
            NET.layout.mask(kind).T * one.out[kind][0, cut:],
            atol=2e-2,
        )
