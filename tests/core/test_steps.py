"""Steps are compiled once a process: a second learner with equal settings compiles nothing."""

import dataclasses

import flax.linen as nn
import jax
import pytest
from conftest import HYPER, SPEC, TINY, Small, blobs, same

from uncle_jax.core import resnet
from uncle_jax.core.steps import network
from uncle_jax.methods.uncle import uncle

COMPILED = "/jax/core/compile/backend_compile_duration"


@pytest.fixture
def compiled():
    """A list that grows by one for every program that XLA compiles."""
    heard: list[float] = []

    def hear(event: str, duration_secs: float, **kwargs: str | int) -> None:
        if event == COMPILED:
            heard.append(duration_secs)

    jax.monitoring.register_event_duration_secs_listener(hear)
    yield heard
    jax.monitoring.unregister_event_duration_listener(hear)


def life(main_net, settings=HYPER):
    """The state after a task was learned and unlearned by a learner of its own."""
    method = uncle(SPEC, 3, TINY, main_net, settings)
    state = method.learn(method.init(jax.random.key(0)), 1, blobs(2))
    return method.unlearn(state, 1)


def test_a_second_learner_with_equal_settings_compiles_nothing(compiled):
    unseen = dataclasses.replace(HYPER, beta=0.0654)  # by other tests: it has to compile
    first = life(Small(), unseen)
    assert compiled
    compiled.clear()
    assert same(first.phi, life(Small(), dataclasses.replace(unseen)).phi)
    assert not compiled


def test_equal_arguments_share_a_network():
    def of(main_net):
        return network(main_net, (6, 6, 1), TINY, HYPER)

    assert of(Small()) is of(Small())
    assert of(Small()) is not of(Small(normed=False))
    assert of(resnet.from_config(TINY, 3)) is of(resnet.from_config(TINY, 3))
    assert of(resnet.from_config(TINY, 3)) is not of(resnet.from_config(TINY, 4))


class Listed(nn.Module):
    """A main network that cannot be hashed: one of its fields is a list."""

    widths: list

    @nn.compact
    def __call__(self, x, train):
        x = x.reshape(len(x), -1)
        for width in self.widths:
            x = nn.relu(nn.Dense(width)(x))
        return nn.Dense(3)(x)


def test_a_main_network_that_cannot_be_hashed_has_steps_of_its_own():
    state = life(Listed([5, 4]))
    assert state.status.tolist() == [0, 2, 0]
