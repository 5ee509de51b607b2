"""FT and RT: their optimisation against NumPy, and what an unlearn request reads and changes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import TINY, Linear, blobs, same

from uncle_jax.core.loop import learning_rate
from uncle_jax.core.status import LEARNED, NEW, UNLEARNED
from uncle_jax.errors import UncleError
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.derpp import derpp
from uncle_jax.methods.multihead.network import Request, Rows
from uncle_jax.methods.multihead.replay import Derpp
from uncle_jax.methods.multihead.retraining import Ft, Rt, ft, ft_algorithm, rt, rt_algorithm
from uncle_jax.methods.protocol import Past

SMALL = dataclasses.replace(TINY, lr=0.02, schedule="cosine", epochs=3)


@pytest.fixture(scope="module")
def net(spec):
    return multihead.multihead(spec, 3, SMALL, Linear(9))


@pytest.fixture(scope="module")
def retain():
    """16 rows, one whole batch, of tasks 0 and 2."""
    parts = [multihead.one_task(*blobs(seed, 8), task) for seed, task in ((0, 0), (4, 2))]
    return multihead.join(*parts)


def adam(params, rows: Rows, rates):
    """(losses, params) of Adam on the mean CE of each row's own head, in float64 NumPy."""
    weights = {k: np.asarray(v, np.float64) for k, v in params["Dense_0"].items()}
    x = (np.asarray(rows.images, np.float64).reshape(len(rows.labels), -1) / 255 - 0.5) / 0.25
    labels, tasks = np.asarray(rows.labels), np.asarray(rows.tasks)
    n = np.arange(len(labels))
    mu, nu = ({k: np.zeros_like(v) for k, v in weights.items()} for _ in range(2))
    losses = []
    for step, rate in enumerate(rates, start=1):
        z = (x @ weights["kernel"] + weights["bias"]).reshape(len(x), 3, 3)[n, tasks]
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        losses.append(-np.log(p[n, labels]).mean())
        p[n, labels] -= 1
        slope = np.zeros((len(x), 3, 3))
        slope[n, tasks] = p / len(x)
        slope = slope.reshape(len(x), 9)
        for name, grad in {"kernel": x.T @ slope, "bias": slope.sum(0)}.items():
            mu[name] = 0.9 * mu[name] + 0.1 * grad
            nu[name] = 0.999 * nu[name] + 0.001 * grad**2
            up, down = mu[name] / (1 - 0.9**step), nu[name] / (1 - 0.999**step)
            weights[name] = weights[name] - rate * up / (np.sqrt(down) + 1e-8)
    return losses, weights


def heard(losses):
    return lambda step, steps, loss: losses.append((step, steps, float(loss)))


def test_ft_is_adam_at_its_own_constant_rate(net, retain):
    model = multihead.init(net, jax.random.key(1))
    told: list[tuple[int, int, float]] = []
    unlearn = ft_algorithm(net, Ft(epochs=4, lr=0.01))
    after = unlearn(model, Request(1, (0, 2), None, retain), jax.random.key(2), heard(told))
    losses, wanted = adam(model.params, retain, [0.01] * 4)
    assert [t[:2] for t in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    np.testing.assert_allclose([t[2] for t in told], losses, rtol=1e-4)
    for name, one in after.params["Dense_0"].items():
        np.testing.assert_allclose(one, wanted[name], atol=2e-4)
    own = np.s_[..., 3:6]  # the forgotten task's head is in no loss
    kernels = (m.params["Dense_0"]["kernel"] for m in (after, model))
    np.testing.assert_array_equal(*(k[own] for k in kernels))


def test_rt_is_a_new_network_at_the_benchmarks_schedule(net, retain):
    old = multihead.init(net, jax.random.key(1))
    key = jax.random.key(2)
    told: list[tuple[int, int, float]] = []
    unlearn = rt_algorithm(net, Rt())
    request = Request(1, (0, 2), None, retain)
    after = unlearn(old, request, key, heard(told))
    fresh = multihead.init(net, jax.random.split(key)[0])
    losses, wanted = adam(fresh.params, retain, [learning_rate(SMALL, i, 1) for i in range(3)])
    np.testing.assert_allclose([t[2] for t in told], losses, rtol=1e-4)
    for name, one in after.params["Dense_0"].items():
        np.testing.assert_allclose(one, wanted[name], atol=2e-4)
    assert same(after, unlearn(jax.tree.map(jnp.zeros_like, old), request, key, None))


def test_with_nothing_retained_ft_stays_and_rt_is_fresh(net):
    model = multihead.init(net, jax.random.key(1))
    request, key = Request(0, (), None, None), jax.random.key(2)
    assert same(model, ft_algorithm(net, Ft())(model, request, key, None))
    fresh = rt_algorithm(net, Rt())(model, request, key, None)
    assert not same(model, fresh)
    assert same(fresh, multihead.init(net, jax.random.split(key)[0]))


@pytest.fixture(scope="module")
def data():
    return [blobs(2 * t, 16) for t in range(2)]


@pytest.fixture(scope="module")
def learned(spec, data):
    method = derpp(spec, 3, SMALL, Linear(9), Derpp(buffer_per_task=8))
    state = method.init(jax.random.key(0))
    for task in range(2):
        state = method.learn(state, task, data[task])
    return state


@pytest.mark.parametrize(("factory", "settings"), [(ft, Ft()), (rt, Rt())])
def test_a_request(spec, data, learned, factory, settings):
    settings = dataclasses.replace(settings, buffer_per_task=8)
    method = factory(spec, 3, SMALL, Linear(9), settings)
    assert (method.reads, method.settings) == ("all retained data", settings)
    before = jax.tree.map(np.array, dataclasses.replace(learned, key=0))
    after = method.unlearn(learned, 0, Past(retained={1: data[1]}))
    assert same(before, dataclasses.replace(learned, key=0))
    assert after.status.tolist() == [UNLEARNED, LEARNED, NEW]
    assert int(after.n_unlearned) == 1
    assert not same(after.params, learned.params)
    assert after.buffer.count.tolist() == [0, 8, 0]
    # RT starts anew, so the buffer's logits are the new network's; FT's are those of their moment.
    now = method.logits(after, 1, after.buffer.images[1])
    if factory is rt:
        np.testing.assert_allclose(after.buffer.logits[1], now, atol=1e-5)
    else:
        np.testing.assert_array_equal(after.buffer.logits[1], learned.buffer.logits[1])
        assert not np.allclose(after.buffer.logits[1], now, atol=1e-5)
    for past in (None, Past(), Past(retained=dict(enumerate(data)))):
        with pytest.raises(UncleError, match="all retained tasks' data"):
            method.unlearn(learned, 0, past)


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"lr": 0.0}, {"buffer_per_task": 0}])
def test_settings_that_cannot_work(wrong):
    with pytest.raises(UncleError, match=next(iter(wrong))):
        Ft(**wrong)
