"""Rounding: so many bits, and what no longer differs."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import HYPER, SPEC, TINY, Small, blobs

from uncle_jax.errors import UncleError
from uncle_jax.evaluation.accuracy import evaluate
from uncle_jax.evaluation.audit.rounding import Rounding, kept_in, measure, rounded
from uncle_jax.evaluation.audit.target import Target
from uncle_jax.methods.uncle import uncle


def test_a_column_has_as_many_values_as_its_bits_allow():
    array = jax.random.normal(jax.random.key(0), (500, 2)) * jnp.array([1.0, 100.0])
    for bits in (8, 4, 2):
        found = np.asarray(rounded(array, bits))
        for column in found.T:
            assert len(np.unique(column)) <= 2**bits - 1
        step = np.abs(array).max(axis=0) / (2 ** (bits - 1) - 1)
        assert np.all(np.abs(found - array) <= step / 2 + 1e-6)
    zero = jnp.zeros((3, 2))
    np.testing.assert_array_equal(rounded(zero, 4), zero)
    with pytest.raises(UncleError, match="bits"):
        Rounding(bits=(1,))


def test_a_state_keeps_all_that_are_no_weights():
    method = uncle(SPEC, 2, TINY, Small(), HYPER)
    state = method.init(jax.random.key(0))
    found = kept_in(state, 4)
    for name in ("task_emb", "status", "norm_stats", "key"):
        assert getattr(found, name) is getattr(state, name)
    before, after = (
        np.concatenate([np.ravel(a) for a in jax.tree.leaves(s.phi)]) for s in (state, found)
    )
    assert np.isfinite(after).all()
    assert (after != before).any()


def test_what_a_small_step_hides_comes_back_in_few_bits():
    """Weights moved by less than half a step of INT4 are the same weights afterwards."""
    weights = jnp.array([[7.0], [3.0], [-2.0]])
    moved = weights + jnp.array([[0.0], [0.3], [-0.2]])
    np.testing.assert_array_equal(rounded(moved, 4), weights)


def test_a_task_is_measured_once_for_each_number_of_bits():
    method = uncle(SPEC, 2, TINY, Small(), HYPER)
    train, test = blobs(0, 64), blobs(1)
    state = method.learn(method.init(jax.random.key(0)), 0, train)
    found = measure(method, state, Target(0, train, test, SPEC), Rounding(bits=(16, 2)))
    assert found[0] == pytest.approx(evaluate(method, state, 0, test), abs=4)
    assert len(found) == 2
