import jax
import numpy as np
import pytest
from conftest import SPEC, TINY, Small, blobs

from uncle_jax.core.status import describe
from uncle_jax.errors import UncleError
from uncle_jax.methods.hypernetwork.learner import hnet
from uncle_jax.methods.hypernetwork.rt import rt_hnet
from uncle_jax.methods.protocol import Past


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.fixture(scope="module")
def learned():
    method = hnet(SPEC, 4, TINY, Small())
    state = method.init(jax.random.key(0))
    for task in (0, 2):
        state = method.learn(state, task, blobs(2 * task))
    return method, state


def test_hnet_only_lets_the_task_go(learned):
    method, state = learned
    after = method.unlearn(state, 0)
    same(after.phi, state.phi)
    same(after.task_emb, state.task_emb)
    same(after.norm_stats, state.norm_stats)  # so its accuracy stays as it was
    assert after.retained.tolist() == [False, False, True, False]  # what L_reg holds
    assert describe(state)["learned"] == [0, 2]
    assert int(after.n_unlearned) == 1
    with pytest.raises(UncleError, match="not learned"):
        method.unlearn(after, 0)


def test_rt_hnet_keeps_nothing_of_before_and_learns_what_is_retained(learned):
    method = rt_hnet(SPEC, 4, TINY, Small())
    _, state = learned
    past = Past(retained={2: blobs(4)})
    steps = []
    after = method.unlearn(state, 0, past, on_step=lambda *step: steps.append(step[:2]))
    assert steps == [(i, 6) for i in range(1, 7)]  # one task, two epochs of three batches
    assert describe(after) == {"learned": [2], "unlearned": [0]}
    assert int(after.n_requests) == int(state.n_requests) + 1
    # Other old weights, the same key: the same new network.
    other = jax.tree.map(lambda a: a * 0 + 1, state.phi)
    again = method.unlearn(state.replace(phi=other, phi_star=other), 0, past)
    same(again.phi, after.phi)
    same(again.norm_stats, after.norm_stats)


@pytest.mark.parametrize("past", [None, Past(), Past(retained={0: blobs(0)})])
def test_rt_hnet_wants_exactly_the_retained_tasks_data(learned, past):
    with pytest.raises(UncleError, match="all retained tasks' data"):
        rt_hnet(SPEC, 4, TINY, Small()).unlearn(learned[1], 0, past)
