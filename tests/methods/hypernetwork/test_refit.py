"""Unlearning by a hypernetwork drawn anew."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import HYPER, SPEC, TINY, Small, blobs, same

from uncle_jax.config import Hypernetwork, part
from uncle_jax.core import refit as fits
from uncle_jax.core import steps
from uncle_jax.core.status import describe
from uncle_jax.errors import UncleError
from uncle_jax.methods.hypernetwork.refit import Refit, refit


def method(**settings):
    tiny = vars(part(Hypernetwork, HYPER))
    return refit(SPEC, 5, TINY, Small(), Refit(**{**tiny, "refit_steps": 40, **settings}))


def after(method, tasks):
    state = method.init(jax.random.key(0))
    for task in tasks:
        state = method.learn(state, task, blobs(2 * task))
    return state


@pytest.fixture(scope="module", params=[False, True], ids=["apart", "inherit"])
def learned(request):
    """(method, state) that has learned 0, 1 and 2."""
    one = method(inherit=request.param)
    return one, after(one, (0, 1, 2))


def theta(method, state, task):
    return steps.theta(method.generator, state.phi, state.task_emb[task], state.chunk_emb)


def test_what_is_retained_answers_as_it_did_and_everything_else_is_new(learned):
    method, state = learned
    told = []
    new = method.unlearn(state, 0, on_step=lambda i, n, loss: told.append((i, n, float(loss))))
    assert [t[:2] for t in told] == [(i, 40) for i in range(1, 41)]
    assert told[-1][2] < 0.5 * told[0][2]
    assert describe(new) == {"learned": [1, 2], "unlearned": [0]}
    for task in (1, 2):
        images = blobs(2 * task).images
        then, now = (jnp.argmax(method.logits(s, task, images), -1) for s in (state, new))
        assert np.mean(np.asarray(then) == np.asarray(now)) > 0.9
    for name in ("trunk", "heads"):
        pairs = zip(*(jax.tree.leaves(getattr(s.phi, name)) for s in (state, new)), strict=True)
        assert all(np.all(a != b) for a, b in pairs if np.any(b)), name
    assert not np.any(np.isclose(new.task_emb, state.task_emb))
    assert not np.any(np.isclose(new.chunk_emb, state.chunk_emb))
    jax.tree.map(np.testing.assert_array_equal, new.phi_star, new.phi)
    fresh = jax.tree.map(lambda a: a[0], method.init(jax.random.key(0)).norm_stats)
    jax.tree.map(lambda a, b: np.testing.assert_array_equal(a[0], b), new.norm_stats, fresh)
    kept = (jax.tree.map(lambda a: a[1:3], s.norm_stats) for s in (state, new))
    assert same(*kept)


def test_the_state_afterwards_is_made_of_retained_networks_and_a_key(learned):
    """Another hypernetwork that generates the same retained networks: the same state."""
    method, state = learned
    moved = state.task_emb.at[0].set(3.0)  # the forgotten task's, and of a slot never used
    other = state.replace(
        task_emb=moved.at[4].set(2.0),
        phi_star=jax.tree.map(jnp.zeros_like, state.phi_star),
        norm_stats=jax.tree.map(lambda a: a.at[0].set(5.0), state.norm_stats),
    )
    assert same(method.unlearn(other, 0).phi, method.unlearn(state, 0).phi)
    assert same(method.unlearn(other, 0).norm_stats, method.unlearn(state, 0).norm_stats)


def test_apart_a_task_is_learned_whatever_else_was():
    """The network of task 2 is the same after other tasks, or other images of theirs."""
    one = method(inherit=False)
    start = one.init(jax.random.key(0))
    a = one.learn(start, 0, blobs(0))
    b = one.learn(start, 0, blobs(6))
    a, b = (one.learn(s.replace(key=jax.random.key(5)), 2, blobs(4)) for s in (a, b))
    images = blobs(4).images
    then, now = (np.asarray(one.logits(s, 2, images)) for s in (a, b))
    assert np.mean(then.argmax(-1) == now.argmax(-1)) > 0.9
    np.testing.assert_allclose(  # the statistics were never generated
        jax.tree.leaves(a.norm_stats)[0][2], jax.tree.leaves(b.norm_stats)[0][2], rtol=1e-6
    )
    inheriting = method(inherit=True)
    start = inheriting.init(jax.random.key(0))
    a, b = (inheriting.learn(start, 0, blobs(n)) for n in (0, 6))
    a, b = (inheriting.learn(s.replace(key=jax.random.key(5)), 2, blobs(4)) for s in (a, b))
    assert np.any(jax.tree.leaves(a.norm_stats)[0][2] != jax.tree.leaves(b.norm_stats)[0][2])


def test_apart_learning_tells_of_both_parts_and_goes_on_where_it_was():
    one = method(inherit=False)
    told = []
    state = one.learn(one.init(jax.random.key(0)), 1, blobs(2), on_step=lambda *a: told.append(a))
    assert [(i, n) for i, n, _ in told] == [(i, 46) for i in range(1, 47)]  # 6 of its own

    class Kept:
        """Saves the carry after an epoch; the next request goes on from it."""

        carry = None

        def resume(self, carry):
            return (0, carry) if self.carry is None else (1, self.carry)

        def after_epoch(self, done, carry):
            assert done == 1
            self.carry = jax.tree.map(jnp.copy, carry)

    kept = Kept()
    start = one.init(jax.random.key(0))
    one.learn(start, 1, blobs(2), inflight=kept)
    again = one.learn(start, 1, blobs(2), inflight=kept)
    assert same(again.phi, state.phi)


def test_whoever_has_the_state_can_learn_on_what_it_holds():
    """Not to be fooled by a `learn` that begins anew: after nothing was unlearned, it shows."""
    for inherit in (False, True):
        one = method(inherit=inherit)
        assert one.onward
        state = after(one, (0,)).replace(status=jnp.zeros(5, jnp.int32))
        learned = one.onward(state, 0, blobs(0))
        assert same(learned.task_emb[1:], state.task_emb[1:])  # phi went on, it was not drawn anew


def test_the_last_task_leaves_a_hypernetwork_that_saw_nothing():
    for inherit in (False, True):
        one = method(inherit=inherit)
        state = after(one, (3,))
        other = one.learn(one.init(jax.random.key(0)), 3, blobs(0))
        gone = [one.unlearn(s.replace(key=jax.random.key(1)), 3) for s in (state, other)]
        assert same(gone[0].phi, gone[1].phi)
        again = one.learn(gone[0], 3, blobs(6))
        assert describe(again) == {"learned": [3], "unlearned": []}


def test_what_is_not_learned_cannot_be_unlearned(learned):
    method, state = learned
    assert method.reads == "none"
    with pytest.raises(UncleError, match="task 4 is not learned"):
        method.unlearn(state, 4)
    with pytest.raises(UncleError, match="task 1 is already learned"):
        method.learn(state, 1, blobs(2))
    with pytest.raises(UncleError, match="refit_steps must be at least 1, not 0"):
        Refit(refit_steps=0)


def test_as_many_traces_as_powers_of_two():
    one = method(inherit=False, refit_steps=2)
    before = fits.step.jitted._cache_size()
    state = after(one, range(5))
    for task in range(4):
        state = one.unlearn(state, task)
    assert fits.step.jitted._cache_size() - before <= 4  # for one, two, four and eight networks


def test_a_class_goes_and_the_hypernetwork_is_another():
    own = dataclasses.replace(TINY, class_unlearning="own")
    tiny = vars(part(Hypernetwork, HYPER)) | {"refit_steps": 40, "trunk": (8, 32)}
    one = refit(SPEC, 5, own, Small(), Refit(**tiny))
    state = after(one, (0, 1))
    new = one.unlearn_classes(state, 1, [0])
    images = blobs(2).images
    for task in (0, 1):
        old, now = (np.asarray(one.logits(s, task, images)) for s in (state, new))
        np.testing.assert_allclose(now[:, task:], old[:, task:], atol=5e-3)
    np.testing.assert_allclose(now[:, 0], old[:, 1:].mean(1), atol=5e-3)
    assert describe(new) == {"learned": [0, 1], "unlearned": []}
    for a, b in zip(jax.tree.leaves(state.phi.heads), jax.tree.leaves(new.phi.heads), strict=True):
        assert np.all(a != b)
    assert not np.any(np.isclose(new.task_emb, state.task_emb))
