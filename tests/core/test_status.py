"""Which tasks may be learned and unlearned, and what a request leaves in a state's record."""

import dataclasses

import flax.struct
import jax
import jax.numpy as jnp
import pytest
from jax import Array

from uncle_jax.core.status import (
    LEARNED,
    NEW,
    UNLEARNED,
    checked,
    checked_classes,
    describe,
    in_range,
    learned,
    unlearned,
    without_classes,
)
from uncle_jax.errors import UncleError


@flax.struct.dataclass
class State:
    weights: Array
    status: Array
    key: Array
    n_requests: Array
    n_unlearned: Array


@pytest.fixture
def state():
    status = jnp.array([LEARNED, NEW, UNLEARNED])
    return State(jnp.zeros(2), status, jax.random.key(0), jnp.int32(4), jnp.int32(1))


def test_a_learn_request_is_recorded(state):
    key = jax.random.key(7)
    after = learned(state, 1, key, weights=jnp.ones(2))
    assert after.status.tolist() == [LEARNED, LEARNED, UNLEARNED]
    assert (int(after.n_requests), int(after.n_unlearned)) == (5, 1)
    assert after.key is key
    assert after.weights.tolist() == [1, 1]
    assert after.n_unlearned is state.n_unlearned
    assert state.status.tolist() == [LEARNED, NEW, UNLEARNED]  # the caller's stays


def test_an_unlearn_request_is_recorded(state):
    after = unlearned(state, 0, state.key)
    assert after.status.tolist() == [UNLEARNED, NEW, UNLEARNED]
    assert (int(after.n_requests), int(after.n_unlearned)) == (5, 2)
    assert after.key is state.key
    assert after.weights is state.weights
    for name in ("status", "n_requests", "n_unlearned"):
        assert getattr(after, name).dtype == getattr(state, name).dtype


def test_a_field_that_a_state_does_not_have_is_refused(state):
    with pytest.raises(TypeError, match="wieghts"):
        learned(state, 0, state.key, wieghts=jnp.ones(2))


def test_description_and_range(state):
    assert describe(state) == {"learned": [0], "unlearned": [2]}
    assert in_range(state, 2) == 2
    for task in (-1, 3):
        with pytest.raises(UncleError, match=f"unknown task {task} .allowed: 0 to 2"):
            in_range(state, task)


def test_only_what_is_learned_can_be_unlearned_and_the_other_way_round(state):
    assert [checked(state, task, learned=False) for task in (1, 2)] == [1, 2]
    assert checked(state, 0, learned=True) == 0
    with pytest.raises(UncleError, match="task 0 is already learned"):
        checked(state, 0, learned=False)
    again = dataclasses.replace(state, status=jnp.array([NEW, LEARNED, UNLEARNED]))
    for task in (0, 2):
        with pytest.raises(UncleError, match=r"not learned.*learned: \[1\]"):
            checked(again, task, learned=True)


def test_classes_that_may_be_unlearned():
    assert checked_classes([4, 1, 4], 5) == (1, 4)
    for wrong, message in (
        ([5], "unknown class 5 .allowed: 0 to 4"),
        ([-1, 2], "unknown class -1"),
        ([], "no class is named"),
        (range(5), "no other class is left"),
    ):
        with pytest.raises(UncleError, match=message):
            checked_classes(wrong, 5)


def test_a_request_of_classes_is_recorded(state):
    before = learned(state, 1, jax.random.key(1))
    after = without_classes(before, jax.random.key(2), weights=jnp.ones(2))
    assert describe(after) == describe(before)
    assert (int(after.n_requests), int(after.n_unlearned)) == (6, 2)
    assert after.weights.tolist() == [1, 1]
