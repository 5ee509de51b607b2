"""What was compiled for one build of a method serves the next one with equal settings."""

import dataclasses
from contextlib import contextmanager

import flax.linen as nn
import jax
import numpy as np
import pytest
from conftest import SPEC, TINY, Small, blobs, same
from replaying import GKT, Tiny, Wide

from uncle_jax.methods.clpu import clpu
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.derpp import derpp
from uncle_jax.methods.multihead.gkt import gkt
from uncle_jax.methods.multihead.lwsf import Lwsf, lwsf
from uncle_jax.methods.multihead.replay import Derpp
from uncle_jax.methods.multihead.ssd import Ssd, ssd
from uncle_jax.methods.protocol import Past

ONE_EPOCH = dataclasses.replace(TINY, epochs=1)
DATA = [blobs(2 * task, 16) for task in range(2)]


@contextmanager
def compilations():
    """A list that is given the duration of each compilation by XLA."""
    durations = []

    def heard(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            durations.append(duration)

    jax.monitoring.register_event_duration_secs_listener(heard)
    try:
        yield durations
    finally:
        jax.monitoring.unregister_event_duration_listener(heard)


def answered(factory, main_net, *settings):
    """State and logits after two tasks of which the first is unlearned, by a build of its own."""
    spec, config = dataclasses.replace(SPEC), dataclasses.replace(ONE_EPOCH)  # equal copies
    method = factory(spec, 2, config, main_net, *settings)
    state = method.init(jax.random.key(0))
    for task, data in enumerate(DATA):
        state = method.learn(state, task, data)
    past = () if method.reads == "none" else (Past(DATA[0], {1: DATA[1]}),)
    state = method.unlearn(state, 0, *past)
    logits = method.logits(state, 1, DATA[1].images)
    return dataclasses.replace(state, key=jax.random.key_data(state.key)), logits


@pytest.mark.parametrize(
    ("factory", "main_net", "settings"),
    [
        (derpp, Wide(6), [Derpp(buffer_per_task=8)]),
        (ssd, Tiny(), [Ssd(buffer_per_task=20, batch=20)]),
        (gkt, Tiny(), [GKT]),
        (lwsf, Wide(6), [Lwsf(fisher_images=8, fisher_batch=4)]),
        (clpu, Small(), []),
    ],
)
def test_a_second_build_compiles_nothing(factory, main_net, settings):
    with compilations() as first:
        one = answered(factory, main_net, *settings)
    with compilations() as second:
        other = answered(factory, main_net.clone(), *map(dataclasses.replace, settings))
    assert first
    assert not second
    assert same(one, other)


class Scaled(nn.Module):
    """A module that cannot be hashed: it has an array."""

    scale: np.ndarray

    @nn.compact
    def __call__(self, x, train):
        return nn.Dense(6)(self.scale * x.reshape(len(x), -1))


def test_equal_arguments_give_one_network():
    one, other = (multihead.multihead(SPEC, 2, TINY, Wide(6)) for _ in range(2))
    assert one is other
    assert multihead.multihead(SPEC, 2, ONE_EPOCH, Wide(6)) is not one
    assert multihead.multihead(SPEC, 2, TINY, Small(6)) is not one


def test_a_module_that_cannot_be_hashed_has_a_network_of_its_own():
    scale = np.full(36, 2.0, np.float32)
    one, other = (multihead.multihead(SPEC, 2, TINY, Scaled(scale)) for _ in range(2))
    assert one is not other
    with pytest.raises(TypeError):
        hash(one.module)
    state, logits = answered(derpp, Scaled(scale), Derpp(buffer_per_task=8))
    assert state.status.tolist() == [2, 1]
    assert np.all(np.isfinite(logits))
