"""JiT: its loss against NumPy, its steps against the loss, and one request."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import TINY, blobs
from replaying import Tiny, in_buffer

from uncle_jax.core.status import LEARNED, UNLEARNED
from uncle_jax.engine.sequence import run_sequence
from uncle_jax.errors import UncleError
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.just_in_time import (
    Jit,
    algorithm,
    jit_unlearning,
    lipschitz_loss,
    noisy_copy,
    norm,
    ratio_loss,
)
from uncle_jax.methods.multihead.network import Request
from uncle_jax.methods.protocol import Past
from uncle_jax.requests import parse

SETTINGS = Jit(buffer_per_task=20, lr=0.01, batch=20, copies=3)


@pytest.fixture(scope="module")
def method(spec):
    return jit_unlearning(spec, 2, TINY, Tiny(), SETTINGS)


@pytest.fixture(scope="module")
def two_learned(method):
    return in_buffer(method, (0, 1), 20)


@pytest.fixture(scope="module")
def net(spec):
    return multihead.multihead(spec, 2, TINY, Tiny())


@pytest.fixture(scope="module")
def drawn(net):
    return jax.jit(lambda key: multihead.init(net, key))(jax.random.key(3))


def rows_of(data, task):
    return multihead.one_task(jnp.asarray(data.images), data.labels, task)


def arrays(*shape):
    return jnp.asarray(np.random.RandomState(len(shape)).normal(size=shape), jnp.float32)


def test_loss_is_the_sum_over_the_batch_of_the_mean_ratio_over_copies():
    logits, copies = arrays(4, 3), arrays(5, 4, 3)
    distances = jnp.abs(arrays(5, 4)) + 0.1
    ratios = np.linalg.norm(np.asarray(logits)[None] - np.asarray(copies), axis=-1)
    ratios /= np.asarray(distances)
    assert ratio_loss(logits, copies, distances) == pytest.approx(ratios.mean(0).sum(), rel=1e-5)
    weights = jnp.array([1.0, 0.0, 1.0, 0.0])
    found = ratio_loss(logits, copies, distances, weights)
    assert found == pytest.approx(ratios.mean(0)[[0, 2]].sum(), rel=1e-5)


def test_gradient_goes_through_the_clean_logits_alone():
    logits, copies, distances = arrays(4, 3), arrays(2, 4, 3), jnp.full((2, 4), 2.0)
    of_logits, of_copies = jax.grad(ratio_loss, (0, 1))(logits, copies, distances)
    gap = np.asarray(logits)[None] - np.asarray(copies)
    wanted = (gap / np.linalg.norm(gap, axis=-1, keepdims=True) / 2).mean(0)
    np.testing.assert_allclose(of_logits, wanted, rtol=1e-5)
    assert not np.any(of_copies)


def test_equal_outputs_and_equal_inputs_give_no_nan():
    logits = arrays(2, 3)
    value, grad = jax.value_and_grad(ratio_loss)(logits, logits[None], jnp.array([[0.0, 1.0]]))
    assert value == 0
    assert not np.any(grad)
    assert not np.any(jax.grad(lambda x: norm(x).sum())(jnp.zeros((2, 3))))


def test_noise_is_clamped_to_the_range_of_the_batch_without_its_fill_ups():
    x = arrays(6, 4, 4, 1).at[5].set(100.0)
    weights = jnp.ones(6).at[5].set(0.0)
    noisy = jax.jit(noisy_copy)
    copy, distance = noisy(x, jax.random.key(0), 3.0, weights)
    assert float(copy.max()) == float(x[:5].max())
    assert float(copy.min()) == float(x[:5].min())
    gap = np.asarray(copy - x).reshape(6, -1)
    np.testing.assert_allclose(distance, np.linalg.norm(gap, axis=1), rtol=1e-5)
    wide = np.zeros((50, 100), np.float32)
    wide[0, :2] = -9, 9  # so far off that nothing is clamped
    noise = np.asarray(noisy(wide, jax.random.key(1), 0.5)[0])[1:]
    assert float(noise.std()) == pytest.approx(0.5, abs=0.02)


def test_lipschitz_loss_of_a_scaling_is_its_factor():
    """||3x - 3x'|| / ||x - x'|| = 3 for each of 4 samples, whatever the noise."""
    found = lipschitz_loss(lambda x: 3 * x, arrays(4, 7), jax.random.key(0), 0.5, 6)
    assert found == pytest.approx(12, rel=1e-4)


@pytest.mark.parametrize("accumulate", [False, True])
def test_steps_descend_on_the_loss_once_a_batch(net, drawn, accumulate):
    """30 images in batches of 20: the ten that fill up the second batch do not count."""
    settings = dataclasses.replace(SETTINGS, accumulate=accumulate, copies=2)
    model, key = drawn, jax.random.key(4)
    rows, losses = rows_of(blobs(0, 30), 1), []
    found = algorithm(net, settings)(
        model, Request(1, (0,), rows, None), key, lambda *step: losses.append(step)
    )
    k_order, k_noise = jax.random.split(key)
    order = np.asarray(jax.random.permutation(jax.random.fold_in(k_order, 0), 30))
    params, total, told = model.params, None, []
    for index, batch in enumerate((order[:20], np.concatenate([order[20:], order[:10]]))):
        x = multihead.normalise(net, rows.images[batch], rows.tasks[batch])
        weights = jnp.ones(20) if index == 0 else (jnp.arange(20) < 10).astype(jnp.float32)

        def loss(params, x=x, weights=weights, index=index):
            def f(x):
                outputs = Tiny().apply(
                    {"params": params, "batch_stats": model.stats}, x, train=False
                )
                return jnp.asarray(outputs)[:, 3:]

            return lipschitz_loss(f, x, jax.random.fold_in(k_noise, index), 0.5, 2, weights)

        value, grad = jax.jit(jax.value_and_grad(loss))(params)
        told.append(float(value))
        total = grad if total is None or not accumulate else jax.tree.map(jnp.add, total, grad)
        params = jax.tree.map(lambda p, g: p - 0.01 * g, params, total)
    for a, b in zip(jax.tree.leaves(found.params), jax.tree.leaves(params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-6)
    assert [step[:2] for step in losses] == [(1, 2), (2, 2)]
    np.testing.assert_allclose([float(loss) for *_, loss in losses], told, rtol=1e-4)
    for a, b in zip(jax.tree.leaves(found.stats), jax.tree.leaves(model.stats), strict=True):
        np.testing.assert_array_equal(a, b)


def test_train_mode_moves_the_running_statistics(net, drawn):
    settings = dataclasses.replace(SETTINGS, mode="train")
    request = Request(0, (), rows_of(blobs(0), 0), None)
    model, found = drawn, algorithm(net, settings)(drawn, request, jax.random.key(4), None)
    for a, b in zip(jax.tree.leaves(found.stats), jax.tree.leaves(model.stats), strict=True):
        assert np.all(np.isfinite(a))
        assert not np.array_equal(a, b)


def test_a_request_smooths_the_forgotten_task_and_leaves_the_callers_state(method, two_learned):
    before = jax.tree.map(np.array, (two_learned.params, two_learned.stats))
    losses = []
    after = method.unlearn(
        two_learned, 0, Past(forget=blobs(0)), on_step=lambda *step: losses.append(step)
    )
    assert len(losses) == 3  # ceil(48 / 20)
    assert after.status.tolist() == [UNLEARNED, LEARNED]
    assert int(after.buffer.count[0]) == 0
    for a, b in zip(
        jax.tree.leaves((two_learned.params, two_learned.stats)),
        jax.tree.leaves(before),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    head = "Dense_1"
    np.testing.assert_array_equal(  # no gradient reaches the other head
        after.params[head]["kernel"][:, 3:], two_learned.params[head]["kernel"][:, 3:]
    )
    spread = [np.std(method.logits(s, 0, blobs(1).images), axis=0) for s in (two_learned, after)]
    assert np.mean(spread[1]) < 0.9 * np.mean(spread[0])


def test_reads_the_forgotten_task_only(method, two_learned, spec):
    assert method.reads == "forget"
    with pytest.raises(UncleError, match="reads the forgotten task's data"):
        method.unlearn(two_learned, 0)
    other = dataclasses.replace(SETTINGS, forget_source="buffer")
    assert jit_unlearning(spec, 2, TINY, Tiny(), other).reads == "buffer"


def test_runs_in_a_sequence(method, blob_benchmark):
    run = run_sequence(method, blob_benchmark, parse("L0 L1 U0"), jax.random.key(0))
    assert run.state.status.tolist() == [UNLEARNED, LEARNED]
    assert run.state.buffer.count.tolist() == [0, 20]
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(run.state.params))


@pytest.mark.parametrize(
    "wrong", [{"copies": 0}, {"batch": 0}, {"sigma": 0.0}, {"lr": -1.0}, {"mode": "test"}]
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(UncleError, match=next(iter(wrong))):
        Jit(**wrong)
