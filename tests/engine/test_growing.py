"""Room for more tasks, in whatever method's state."""

import dataclasses

import jax
import numpy as np
import pytest
from conftest import HYPER, SPEC, TINY, Heads, Small, blobs, same

from uncle_jax.config import part
from uncle_jax.core.status import describe
from uncle_jax.engine.growing import grown
from uncle_jax.engine.unlearning import unlearn
from uncle_jax.errors import UncleError
from uncle_jax.methods import registry
from uncle_jax.methods.protocol import Method, Past
from uncle_jax.tasks import TaskSpec


def made(name, n_tasks, main_net=None):
    usual = registry.settings_of(name, registry.find(name), {})
    kinds = [kind for kind in type(usual).__mro__ if kind in type(HYPER).__mro__[:2]]
    if kinds:  # a hypernetwork's
        usual = dataclasses.replace(usual, **vars(part(kinds[-1], HYPER)))
    return registry.build(name, SPEC, n_tasks, TINY, usual, main_net)


@pytest.mark.parametrize("name", ["uncle", "refit", "derpp", "clpu", "pall", "lwsf"])
def test_what_is_learned_answers_as_before_and_new_tasks_have_room(name, small_networks):
    small = made(name, 2)
    state = small.learn(small.init(jax.random.key(0)), 1, blobs(0))
    method, wide = grown(small, state, 5)
    assert len(wide.status) == 5
    assert describe(wide) == describe(state) == {"learned": [1], "unlearned": []}
    images = blobs(0).images
    before, after = (
        np.asarray(m.logits(s, 1, images)) for m, s in ((small, state), (method, wide))
    )
    np.testing.assert_allclose(after, before, atol=1e-5)
    if name == "uncle":
        assert same(wide.phi, state.phi)
        assert wide.made_by == method.init(jax.random.key(0)).made_by != state.made_by
    later = method.learn(wide, 3, blobs(2))
    assert describe(later)["learned"] == [1, 3]
    past = Past(retained={3: blobs(2)}) if method.reads == "latest" else None
    assert describe(unlearn(method, later, 1, past))["learned"] == [3]
    with pytest.raises(UncleError, match="unknown task 3"):
        small.learn(state, 3, blobs(2))


def test_what_cannot_grow_says_why():
    uncle = registry.build("uncle", SPEC, 2, TINY, HYPER, Small())
    state = uncle.init(jax.random.key(0))
    for n in (1, 10**6):
        with pytest.raises(UncleError, match=f"room for {n} tasks .allowed: 2, as now, to 100000"):
            grown(uncle, state, n)
    with pytest.raises(UncleError, match="cannot grow"):
        grown(Method("m", *[lambda *_: None] * 4), state, 4)  # type: ignore[list-item]
    heads = registry.build("derpp", SPEC, 4, TINY, main_net=Heads())
    with pytest.raises(UncleError, match="has its outputs, and cannot grow"):
        grown(heads, heads.init(jax.random.key(0)), 5)
    other = dataclasses.replace(SPEC, tasks=(TaskSpec(2, (0.5,), (0.25,)),) * 2)
    differ = registry.build("uncle", other, 2, TINY, HYPER, Small())
    with pytest.raises(UncleError, match="differ"):
        grown(differ, differ.init(jax.random.key(0)), 3)
