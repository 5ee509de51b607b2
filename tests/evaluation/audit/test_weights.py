"""Weights: where a state lies, and what its line shows."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import HYPER, SPEC, TINY, Small, blobs

from uncle_jax.evaluation.accuracy import evaluate
from uncle_jax.evaluation.audit.target import Target
from uncle_jax.evaluation.audit.weights import Line, between, line, place, weights_of
from uncle_jax.methods.clpu import clpu
from uncle_jax.methods.uncle import uncle

TARGET = Target(0, blobs(0, 64), blobs(1), SPEC)


@pytest.fixture(scope="module", params=["hypernetwork", "network"])
def ends(request):
    """(method, a state that never learned task 0, one that has it)."""
    if request.param == "network":
        method = clpu(SPEC, 2, TINY, Small())
    else:
        method = uncle(SPEC, 2, TINY, Small(), HYPER)
    never = method.init(jax.random.key(0))
    return method, never, method.learn(never, 0, TARGET.train)


def test_the_ends_are_at_0_and_1_and_the_middle_between(ends):
    method, never, kept = ends
    assert place(method, 0, never, never, kept) == (0, 0)
    assert place(method, 0, kept, never, kept) == pytest.approx((1, 1))
    half = between(never, kept, 0.5)
    assert place(method, 0, half, never, kept) == pytest.approx((0.5, 0.5), abs=1e-5)
    assert np.isnan(place(method, 0, kept, never, never)).all()


def test_what_is_moved_at_right_angles_is_far_and_no_nearer(ends):
    method, never, kept = ends
    way = weights_of(method, kept, 0) - weights_of(method, never, 0)
    aside = jax.random.normal(jax.random.key(1), way.shape)
    aside -= way * jnp.vdot(aside, way) / jnp.vdot(way, way)
    assert abs(float(jnp.vdot(aside, way))) < 1e-2 * float(jnp.linalg.norm(way)) ** 2


def test_a_line_begins_and_ends_at_its_states(ends):
    method, never, kept = ends
    found = line(method, kept, never, TARGET)
    assert found.accuracy.shape == found.loss.shape == (21,)
    assert found.accuracy[0] == pytest.approx(evaluate(method, never, 0, TARGET.test), abs=1e-4)
    assert found.accuracy[-1] == pytest.approx(evaluate(method, kept, 0, TARGET.test), abs=1e-4)


def test_a_barrier_is_what_the_loss_has_above_the_straight_line():
    loss = np.linspace(1.0, 3.0, 21)
    assert Line(loss, loss).barrier == pytest.approx(0)
    loss[10] += 4
    assert Line(loss, loss).barrier == pytest.approx(4)


def test_keys_and_counts_are_the_states_own(ends):
    _, never, kept = ends
    half = between(never, kept, 0.5)
    np.testing.assert_array_equal(half.status, kept.status)
    assert jnp.array_equal(jax.random.key_data(half.key), jax.random.key_data(kept.key))
