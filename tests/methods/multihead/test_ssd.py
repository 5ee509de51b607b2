"""SSD: dampening by hand-made importances, importances against NumPy, and one request."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import TINY, Linear, blobs, same
from replaying import Tiny, in_buffer

from uncle_jax.core.status import LEARNED, UNLEARNED
from uncle_jax.engine.sequence import run_sequence
from uncle_jax.errors import UncleError
from uncle_jax.methods.multihead import buffer as buffers
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.network import Model, Request
from uncle_jax.methods.multihead.ssd import Ssd, algorithm, batch_loss, dampen, ssd
from uncle_jax.methods.protocol import Past
from uncle_jax.requests import parse

SETTINGS = Ssd(buffer_per_task=20, batch=20)


@pytest.fixture(scope="module")
def method(spec):
    return ssd(spec, 2, TINY, Tiny(), SETTINGS)


@pytest.fixture(scope="module")
def two_learned(method):
    return in_buffer(method, (0, 1), 20)


@pytest.fixture(scope="module")
def linear(spec):
    net = multihead.multihead(spec, 2, TINY, Linear())
    return net, multihead.init(net, jax.random.key(1))


def rows_of(data, task):
    return multihead.one_task(jnp.asarray(data.images), data.labels, task)


@pytest.mark.parametrize(
    ("i", "i_f", "wanted"),
    [
        (0.0, 3.0, 0.0),  # matters to the forgotten data alone: gone
        (0.0, 0.0, -2.0),  # matters to nobody: no zero by zero
        (5.0, 0.0, -2.0),
        (1.0, 10.0, -2.0),  # exactly alpha times: not more than that
        (1.0, 20.0, -2.0 * 4 / 20),  # lam * I / I_f
        (1e-30, 1e-20, -2.0 * 4e-10),
    ],
)
def test_dampening(i, i_f, wanted):
    found = dampen({"w": jnp.array([-2.0])}, {"w": jnp.array([i])}, {"w": jnp.array([i_f])}, 10, 4)
    np.testing.assert_allclose(found["w"], [wanted], rtol=1e-5)


def test_dampening_never_makes_a_weight_larger():
    found = dampen(jnp.array([3.0]), jnp.array([1.0]), jnp.array([2.0]), 1.0, 5.0)
    assert float(found[0]) == 3.0  # 5 * 1 / 2 > 1


def test_batch_loss_leaves_fill_ups_out():
    logits = jnp.array([[0.0, 1.0], [2.0, 0.0], [9.0, -9.0]])
    labels = jnp.array([0, 0, 1])
    found = batch_loss(logits, labels, jnp.array([1.0, 1.0, 0.0]))
    assert float(found) == pytest.approx((np.log1p(np.e) + np.log1p(np.exp(-2))) / 2, rel=1e-5)


def gradient(model, net, rows):
    """[36, 6] gradient of the mean cross-entropy of a linear model, in NumPy."""
    images = np.asarray(rows.images, np.float64) / 255
    x = ((images - 0.5) / 0.25).reshape(len(images), -1)
    tasks, labels = np.asarray(rows.tasks), np.asarray(rows.labels)
    kernel, bias = (np.asarray(model.params["Dense_0"][k], np.float64) for k in ("kernel", "bias"))
    outputs = (x @ kernel + bias).reshape(-1, 2, 3)[np.arange(len(x)), tasks]
    p = np.exp(outputs - outputs.max(1, keepdims=True))
    error = p / p.sum(1, keepdims=True) - np.eye(3)[labels]
    full = np.zeros((len(x), 2, 3))
    full[np.arange(len(x)), tasks] = error
    return x.T @ full.reshape(-1, 6) / len(x)


def pick(rows, index):
    return jax.tree.map(lambda a: np.asarray(a)[index], rows)


@pytest.mark.parametrize("against", ["all", "retained"])
def test_model_is_dampened_by_squared_batch_gradients(linear, against):
    """30 forgotten images in batches of 20: the second batch is the mean over its ten."""
    net, model = linear
    forget, retain = rows_of(blobs(0, 30), 0), rows_of(blobs(2, 44), 1)
    key, seen = jax.random.key(5), []
    alpha, lam = 1.5, 0.7
    settings = dataclasses.replace(SETTINGS, against=against, alpha=alpha, lam=lam)
    found = algorithm(net, settings)(
        model,
        Request(0, (1,), forget, retain),
        key,
        lambda step, steps, loss: seen.append((step, steps)),
    )

    def importance(rows, key):
        order = np.asarray(jax.random.permutation(jax.random.fold_in(key, 0), len(rows.labels)))
        parts = [order[i : i + 20] for i in range(0, len(order), 20)]
        return np.mean([gradient(model, net, pick(rows, part)) ** 2 for part in parts], axis=0)

    k_forget, k_all = jax.random.split(key)
    i_f = importance(forget, k_forget)
    i = importance(multihead.join(retain, forget) if against == "all" else retain, k_all)
    kernel = np.asarray(model.params["Dense_0"]["kernel"])
    chosen = i_f > alpha * i
    wanted = np.where(chosen, kernel * np.minimum(lam * i / np.where(chosen, i_f, 1), 1), kernel)
    np.testing.assert_allclose(found.params["Dense_0"]["kernel"], wanted, rtol=2e-3, atol=1e-7)
    assert chosen[:, :3].any()
    assert not chosen[:, 3:].any()  # the other head gets no gradient from the forgotten task
    if against == "retained":
        assert not np.any(found.params["Dense_0"]["kernel"][:, :3])
    steps = 2 + (4 if against == "all" else 3)
    assert seen == [(step, steps) for step in range(1, steps + 1)]


@pytest.mark.parametrize("against", ["all", "retained"])
def test_with_nothing_retained_the_model_is_drawn_anew(linear, against):
    net, model = linear
    settings = dataclasses.replace(SETTINGS, against=against)
    request = Request(0, (), rows_of(blobs(0), 0), None)
    found = algorithm(net, settings)(model, request, jax.random.key(0), None)
    drawn = multihead.init(net, jax.random.key(0))
    assert not same(found.params, model.params)
    assert same(found.params, drawn.params)


def test_gradients_are_those_of_eval_mode(method, two_learned, spec):
    """Images of one request cannot change a sample's gradient by the statistics of its batch."""
    net = multihead.multihead(spec, 2, TINY, Tiny())
    stats = jax.tree.map(lambda a: a + 3.0, two_learned.stats)  # seen only in eval mode
    request = Request(0, (1,), rows_of(blobs(0), 0), buffers.rows(two_learned.buffer, (1,)))
    run = algorithm(net, dataclasses.replace(SETTINGS, alpha=0.5))
    a = run(Model(two_learned.params, two_learned.stats), request, jax.random.key(0), None)
    b = run(Model(two_learned.params, stats), request, jax.random.key(0), None)
    assert not same(a.params, b.params)
    assert same(a.stats, two_learned.stats)


def test_a_request_leaves_the_callers_state(spec, two_learned):
    method = ssd(spec, 2, TINY, Tiny(), dataclasses.replace(SETTINGS, against="retained"))
    before = jax.tree.map(np.array, (two_learned.params, two_learned.stats))
    after = method.unlearn(two_learned, 0, Past(blobs(0)))  # pyright: ignore[reportCallIssue]
    assert after.status.tolist() == [UNLEARNED, LEARNED]
    assert same((two_learned.params, two_learned.stats), before)
    assert same(after.stats, before[1])
    # The forgotten head gets no gradient from what is retained, so nothing of it is left.
    assert not np.any(after.params["Dense_1"]["kernel"][:, :3])
    assert np.std(method.logits(after, 0, blobs(1).images), axis=0).max() == 0


def test_reads_the_forgotten_task_and_the_buffer(method, two_learned, blob_benchmark):
    assert method.reads == "forget+retain"
    with pytest.raises(UncleError, match="reads the forgotten task's data"):
        method.unlearn(two_learned, 0)
    run_sequence(method, blob_benchmark, parse("L0 L1 U0"), jax.random.key(0))


@pytest.mark.parametrize(
    "wrong", [{"batch": 0}, {"alpha": -1.0}, {"lam": float("nan")}, {"against": "none"}]
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(UncleError, match=next(iter(wrong))):
        Ssd(**wrong)
