"""Retraining with a hypernetwork."""

import jax
import pytest
from conftest import HYPER, SPEC, TINY, Small, blobs, same

from uncle_jax.core.status import describe
from uncle_jax.errors import UncleError
from uncle_jax.methods.hypernetwork.learner import hnet
from uncle_jax.methods.hypernetwork.rt import rt_hnet
from uncle_jax.methods.protocol import Past


@pytest.fixture(scope="module")
def state():
    """Of a learner that has learned 0 and 2."""
    method = hnet(SPEC, 4, TINY, Small(), HYPER)
    state = method.init(jax.random.key(0))
    for task in (0, 2):
        state = method.learn(state, task, blobs(2 * task))
    return state


def test_rt_hnet_keeps_nothing_of_before_and_learns_what_is_retained(state):
    method = rt_hnet(SPEC, 4, TINY, Small(), HYPER)
    past = Past(retained={2: blobs(4)})
    steps = []
    after = method.unlearn(state, 0, past, on_step=lambda *step: steps.append(step[:2]))
    assert steps == [(i, 6) for i in range(1, 7)]  # one task, two epochs of three batches
    assert describe(after) == {"learned": [2], "unlearned": [0]}
    assert int(after.n_requests) == int(state.n_requests) + 1
    # Other old weights, the same key: the same new network.
    other = jax.tree.map(lambda a: a * 0 + 1, state.phi)
    again = method.unlearn(state.replace(phi=other, phi_star=other), 0, past)
    assert same(again.phi, after.phi)
    assert same(again.norm_stats, after.norm_stats)


@pytest.mark.parametrize("past", [None, Past(), Past(retained={0: blobs(0)})])
def test_rt_hnet_wants_exactly_the_retained_tasks_data(state, past):
    with pytest.raises(UncleError, match="all retained tasks' data"):
        rt_hnet(SPEC, 4, TINY, Small(), HYPER).unlearn(state, 0, past)
