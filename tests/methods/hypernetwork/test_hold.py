"""`hold=solved`: what is retained stays what it was, to rounding, whatever is asked."""

import dataclasses

import jax
import numpy as np
import pytest
from conftest import HYPER, SPEC, TINY, Small, blobs, same

from uncle_jax.methods.uncle import uncle

ROUGH = dataclasses.replace(HYPER, trunk=(8, 48), beta=0.0, unlearn_lr=1e-2, gamma=1.0)


def moved(hold, space="generated"):
    """How far the logits of a retained task move at a learning, and then at an unlearning."""
    settings = dataclasses.replace(ROUGH, hold=hold, output_space=space)
    method = uncle(SPEC, 4, TINY, Small(), settings)
    images = blobs(0).images
    states = [method.learn(method.init(jax.random.key(0)), 0, blobs(0))]
    states.append(method.learn(states[0], 1, blobs(2)))
    new = method.learn(states[0], 1, blobs(2))
    states.append(method.unlearn(states[1], 1))
    first, second, third = (np.asarray(method.logits(s, 0, images)) for s in states)
    own = [np.asarray(method.logits(s, 1, blobs(2).images)) for s in (states[1], new, states[2])]
    return np.abs(second - first).max(), np.abs(third - second).max(), own


@pytest.mark.parametrize("space", ["generated", "theta"])
def test_nothing_that_is_retained_moves(space):
    learning, unlearning, own = moved("solved", space)
    assert max(learning, unlearning) < 5e-3
    assert np.mean(own[0].argmax(-1) == blobs(2).labels) > 0.9  # and the new task is learned
    assert np.abs(own[2] - own[0]).max() > 0.5  # and forgotten


def test_units_that_nothing_retained_uses_are_drawn_anew():
    settings = dataclasses.replace(ROUGH, dead="redraw")
    left, drawn = (uncle(SPEC, 4, TINY, Small(), one) for one in (ROUGH, settings))
    state = left.learn(left.init(jax.random.key(0)), 0, blobs(0))
    state = left.learn(state, 1, blobs(2))
    for ask in (
        lambda method: method.unlearn(state, 1),
        lambda method: method.learn(state, 2, blobs(4)),
    ):
        before, after = ask(left), ask(drawn)
        for task in (0, 2) if after.status[2] == 1 else (0,):
            both = [np.asarray(left.logits(s, task, blobs(0).images)) for s in (before, after)]
            np.testing.assert_allclose(*both, atol=2e-3)
        assert not same(before.phi.trunk, after.phi.trunk)
        assert same(after.phi, after.phi_star)


def test_it_moves_otherwise():
    learning, unlearning, _ = moved("drift")
    assert min(learning, unlearning) > 0.05
