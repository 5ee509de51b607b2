"""A state that does not know a task it has learned."""

import jax
from conftest import HYPER, SPEC, TINY, Small, blobs, same

from uncle_jax.core.status import describe
from uncle_jax.evaluation.audit.target import withheld
from uncle_jax.methods.uncle import uncle


def test_a_withheld_task_can_be_learned_and_nothing_else_is_other():
    method = uncle(SPEC, 3, TINY, Small(), HYPER)
    state = method.learn(method.init(jax.random.key(0)), 1, blobs(0))
    without = withheld(state, 1, jax.random.key(5))
    assert describe(without) == {"learned": [], "unlearned": [1]}
    assert describe(state) == {"learned": [1], "unlearned": []}
    assert same(without.phi, state.phi)
    assert without.key == jax.random.key(5)
    method.learn(without, 1, blobs(0))
