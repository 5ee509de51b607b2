"""Steps compiled once a process, and the step of the burn-in."""

import dataclasses
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import HYPER, SPEC, TINY, Small, blobs, same

from uncle_jax.config import Hypernetwork, part
from uncle_jax.core import hypernet, objectives, steps
from uncle_jax.core.holding import drift, hold
from uncle_jax.core.network import network
from uncle_jax.core.status import LEARNED
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


# --------------------------------------------------------------------------------------------------
# One unlearning step, with noise at fresh embeddings and without


def one_step(settings, key):
    """(network, carry before, task, what is held, carry after, losses) of an unlearning step."""
    net = network(Small(), (6, 6, 1), TINY, part(Hypernetwork, settings))
    state = steps.init(net, 3, jax.random.key(1))
    state = dataclasses.replace(state, status=state.status.at[1].set(LEARNED))
    before, forgotten = steps.start_unlearning(net, settings, state, 0, jax.random.key(2))
    copied, held = jax.tree.map(jnp.copy, before), hold(net, state)
    after, losses = steps.unlearn(net, settings, copied, forgotten, held, key, np.float32(1e-2))
    return net, before, forgotten, held, after, losses


@partial(jax.jit, static_argnums=(0, 1))
def equation_3(net, settings, carry, forgotten, held, key):
    """The step without fresh noise, written down once more."""

    def loss(phi):
        out = hypernet.outputs(phi, forgotten.emb, forgotten.chunk_emb)
        forget = objectives.noise_alignment(
            key, out, net.layout, "gaussian", settings.noise_samples, "collapsed"
        )
        return settings.gamma * forget + drift(net, phi, held)

    return net.shared_optimiser.update(jax.grad(loss)(carry.phi), carry.optimiser)


def test_without_fresh_noise_a_step_is_equation_3():
    settings = dataclasses.replace(HYPER, fresh_noise=0.0, fresh_draws=4, adversary_noise=0.0)
    key = jax.random.key(5)
    net, before, forgotten, held, after, _ = one_step(settings, key)
    # The gradient, in the optimiser's moments: Adam's first step is its sign, which rounding flips.
    update, optimiser = equation_3(net, settings, before, forgotten, held, key)
    for one, other in zip(*map(jax.tree.leaves, (after.optimiser, optimiser)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-9)
    went = jax.tree.map(jnp.subtract, before.phi, after.phi)
    for one, other in zip(*map(jax.tree.leaves, (went, update)), strict=True):
        assert np.mean(np.abs(one - 1e-2 * other) < 1e-6) > 0.99
    for name in ("fresh_noise", "adversary_noise"):
        other = one_step(dataclasses.replace(settings, **{name: 1.0}), key)[4]
        assert not same(after.phi, other.phi)


@pytest.mark.parametrize("noise", ["gaussian", "norm", "fixed"])
@pytest.mark.parametrize(("draws", "radius"), [(1, None), (3, 0.3)])
def test_fresh_noise_adds_the_mean_alignment_at_fresh_embeddings(noise, draws, radius):
    settings = dataclasses.replace(
        HYPER, noise=noise, fresh_noise=0.5, fresh_draws=draws, fresh_radius=radius
    )
    key = jax.random.key(5)
    net, before, forgotten, _, _, losses = one_step(settings, key)
    k_emb, k_noise = jax.random.split(jax.random.fold_in(key, 1))
    embeddings = objectives.fresh_embeddings(k_emb, forgotten.emb, draws, radius)

    def alignment(emb, k):
        out = hypernet.outputs(before.phi, emb, forgotten.chunk_emb)
        k = forgotten.noise_key if noise == "fixed" else k  # one z, wherever it is aligned
        return objectives.noise_alignment(k, out, net.layout, noise, 10, "collapsed")

    own = alignment(forgotten.emb, key)
    drawn = zip(embeddings, jax.random.split(k_noise, draws), strict=True)
    fresh = np.mean([alignment(emb, k) for emb, k in drawn])
    np.testing.assert_allclose(losses.task, own + 0.5 * fresh, rtol=1e-5)


def test_adversary_noise_adds_the_mean_alignment_where_adversaries_are_after_their_step():
    settings = dataclasses.replace(HYPER, adversary_noise=2.0, adversaries=3)
    key = jax.random.key(5)
    net, before, forgotten, _, after, losses = one_step(settings, key)
    assert before.adversaries.emb.shape == (3, HYPER.embedding)
    at = after.adversaries.emb
    assert not np.any(np.isclose(before.adversaries.emb, at).all(axis=1))

    def alignment(emb, k):
        out = hypernet.outputs(before.phi, emb, forgotten.chunk_emb)
        return objectives.noise_alignment(k, out, net.layout, "gaussian", 10, "collapsed")

    keys = jax.random.split(jax.random.fold_in(key, 2), 3)
    own = alignment(forgotten.emb, key)
    found = np.mean([alignment(emb, k) for emb, k in zip(at, keys, strict=True)])
    np.testing.assert_allclose(losses.task, own + 2 * found, rtol=1e-5)


def test_fixed_noise_is_aligned_at_other_embeddings_every_iteration():
    settings = dataclasses.replace(HYPER, noise="fixed", fresh_noise=1.0)
    first, second = (one_step(settings, jax.random.key(k))[5].task for k in (0, 1))
    assert first != second
