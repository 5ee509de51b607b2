"""LWSF: every term of its loss against NumPy, and that a forgotten task is in none of them."""

import dataclasses
from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import TINY, blobs, same

from uncle_jax.core.status import LEARNED, NEW, UNLEARNED
from uncle_jax.errors import UncleError
from uncle_jax.methods.multihead import lwsf as module
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.lwsf import Learning, Lwsf, lwsf
from uncle_jax.methods.protocol import Past

SMALL = dataclasses.replace(TINY, lr=0.01, schedule="constant")


class Linear(nn.Module):
    n_outputs: int = 9
    normed: bool = False

    @nn.compact
    def __call__(self, x, train):
        x = x.reshape(len(x), -1)
        if self.normed:
            x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        return nn.Dense(self.n_outputs)(x)


def log_softmax(z):
    z = np.asarray(z, np.float64)
    z = z - z.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


@pytest.fixture(scope="module")
def net(spec):
    return multihead.multihead(spec, 3, SMALL, Linear())


@pytest.fixture(scope="module")
def method(spec):
    settings = Lwsf(head_epochs=1, fisher_images=8, fisher_batch=4)
    return lwsf(spec, 3, SMALL, Linear(normed=True), settings)


@pytest.fixture(scope="module")
def data():
    return [blobs(2 * t, 16) for t in range(3)]


@pytest.fixture(scope="module")
def one_learned(method, data):
    return method.learn(method.init(jax.random.key(0)), 2, data[2])


@pytest.fixture(scope="module")
def two_learned(method, one_learned, data):
    return method.learn(one_learned, 0, data[0])


def random_state(net, status):
    """A state in which every slot holds large numbers, those of forgotten tasks too."""
    rng = np.random.default_rng(0)
    params, stats = multihead.init(net, jax.random.key(0))
    stacked = jax.tree.map(lambda a: jnp.asarray(rng.normal(size=(3, *a.shape)), a.dtype), params)
    importance = jax.tree.map(jnp.abs, stacked)
    zero, status = jnp.zeros((), jnp.int32), jnp.asarray(status)
    codes = jnp.asarray(rng.normal(size=(3, 3, *net.shape)), jnp.float32)
    at, key = jnp.arange(3), jax.random.key(1)
    return module.LwsfState(params, stats, codes, stacked, importance, at, status, key, zero, zero)


def test_every_term_of_the_loss_on_a_linear_network(net):
    """Learning task 1 with task 2 and task 0 behind it, of which 0 is forgotten."""
    settings = Lwsf(w_ce=0.7, lambda_ewc=0.3, gamma_lsf=2.0, alpha_lwf=5.0, temperature=3.0)
    rng = np.random.default_rng(1)
    x, x_hat = rng.normal(size=(2, 4, 6, 6, 1)).astype(np.float32)
    labels = np.array([0, 1, 2, 2])
    batch = module.Mixed(x, x_hat, labels, np.full(4, 1))
    new = multihead.init(net, jax.random.key(5)).params
    joint, apart = (
        jax.jit(partial(module.loss_of, net, dataclasses.replace(settings, norm=norm)))
        for norm in ("joint", "apart")
    )

    def logits(params, images):
        layer = params["Dense_0"]
        flat = np.asarray(images, np.float64).reshape(len(images), -1)
        return (flat @ np.asarray(layer["kernel"]) + np.asarray(layer["bias"])).reshape(-1, 3, 3)

    def entropy(images, labels, task):
        return -log_softmax(logits(new, images)[:, task])[np.arange(len(labels)), labels].mean()

    for status in ([UNLEARNED, NEW, LEARNED], [LEARNED, UNLEARNED, LEARNED]):
        state = random_state(net, status)
        kept = [t for t, s in enumerate(status) if s == LEARNED]
        wanted = 0.7 * (entropy(x, labels, 1) + entropy(x_hat, labels, 1))
        for task in kept:
            for name, value in new["Dense_0"].items():
                anchor, fisher = (t["Dense_0"][name][task] for t in (state.anchors, state.fisher))
                wanted += 0.3 * np.sum(np.asarray(fisher) * (np.asarray(value) - anchor) ** 2)
            wanted += 2.0 * entropy(state.codes[task], np.arange(3), task) / len(kept)
            q, p = (log_softmax(logits(w, x)[:, task] / 3) for w in (state.params, new))
            wanted += 5.0 * (np.exp(q) * (q - p)).sum(-1).mean() / len(kept)
        earlier = module.earlier_of(net, state)
        for loss in (joint, apart):
            found = loss(multihead.Model(new, {}), batch, earlier)[0]
            np.testing.assert_allclose(found, wanted, rtol=1e-4)
    found = joint(multihead.Model(new, {}), batch, None)[0]
    alone = 0.7 * (entropy(x, labels, 1) + entropy(x_hat, labels, 1))
    np.testing.assert_allclose(found, alone, rtol=1e-5)


def test_nothing_of_a_forgotten_task_reaches_a_step(net):
    state = random_state(net, [LEARNED, UNLEARNED, NEW])
    held = state.codes, state.anchors, state.fisher
    other = jax.tree.map(lambda a: a.at[1:].set(1e3), held)
    changed = dataclasses.replace(state, codes=other[0], anchors=other[1], fisher=other[2])
    assert same(module.earlier_of(net, state), module.earlier_of(net, changed))
    erased = module.erase(state, 0)
    assert module.earlier_of(net, erased) is None
    for leaf in jax.tree.leaves((erased.codes, erased.anchors, erased.fisher, erased.learned_at)):
        assert not np.any(leaf[0])
    assert erased.status.tolist() == [UNLEARNED, UNLEARNED, NEW]


def test_codes_weigh_tasks_and_then_classes_alike():
    valid = np.arange(4) < np.array([[4], [2], [3]])
    tasks, labels, weights = module.code_batch((1, 2), valid)
    assert len(tasks) == 12
    pairs = {(1, 0), (1, 1), (2, 0), (2, 1), (2, 2)}
    assert set(zip(tasks.tolist(), labels.tolist(), strict=True)) == pairs
    for task, label, share in ((1, 0, 1 / 4), (1, 1, 1 / 4), (2, 0, 1 / 6), (2, 2, 1 / 6)):
        np.testing.assert_allclose(weights[(tasks == task) & (labels == label)].sum(), share)


def test_mixing():
    x, codes = np.full((2, 1, 1, 1), 4.0), np.full((2, 1, 1, 1), 8.0)
    mixed = module.mix(jnp.asarray(x), jnp.asarray(codes), jnp.array([1.0, 0.25]))
    assert mixed.ravel().tolist() == [4.0, 7.0]


def test_the_heads_alone_train_before_the_rest(net):
    rows = multihead.one_task(*blobs(0, 8), 1)
    narrow = dataclasses.replace(net, module=Hidden())
    params, stats = multihead.init(narrow, jax.random.key(1))
    heads, _ = module.split_heads(narrow, params)
    adam = optax.scale_by_adam()
    copy = jax.tree.map(jnp.copy, params)  # the step donates its carry
    carry = Learning(copy, stats, adam.init(params), adam.init(heads))
    after, _ = module.head_step(narrow, carry, rows, np.float32(0.1))
    assert same(after.params["body"], params["body"])
    moved = np.any(after.params["heads"]["kernel"] != params["heads"]["kernel"], axis=0)
    assert moved.tolist() == [False] * 3 + [True] * 3 + [False] * 3  # task 1's own head


class Hidden(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.tanh(nn.Dense(5, name="body")(x.reshape(len(x), -1)))
        return nn.Dense(9, name="heads")(x)


def test_the_first_task_has_nothing_to_hold(one_learned):
    assert one_learned.status.tolist() == [NEW, NEW, LEARNED]
    assert one_learned.learned_at.tolist() == [0, 0, 1]
    for leaf in jax.tree.leaves((one_learned.codes, one_learned.anchors, one_learned.fisher)):
        assert not np.any(leaf[:2])
        assert np.any(leaf[2])


def test_learning_fills_the_tasks_slots_alone(method, two_learned, data):
    told = []
    after = method.learn(two_learned, 1, data[1], on_step=lambda s, n, loss: told.append((s, n)))
    assert told == [(1, 3), (2, 3), (3, 3)]  # one epoch of the heads, two of all
    assert after.status.tolist() == [LEARNED] * 3
    assert after.learned_at.tolist() == [2, 3, 1]
    slots = [(s.codes, s.anchors, s.fisher) for s in (two_learned, after)]
    for now, then in zip(*map(jax.tree.leaves, slots[::-1]), strict=True):
        np.testing.assert_array_equal(now[::2], then[::2])
        assert not np.any(then[1])
        assert np.any(now[1])
    assert same(jax.tree.map(lambda a: a[1], after.anchors), after.params)
    assert abs(float(after.codes[1].std()) - 1) < 0.2


class Kept:
    """A Inflight that keeps the carry after the first epoch, of the heads."""

    def __init__(self):
        self.done, self.carry, self.told = 0, None, []

    def resume(self, carry):
        return (self.done, jax.tree.map(jnp.copy, self.carry)) if self.done else (0, carry)

    def after_epoch(self, done, carry):
        self.told.append(done)
        if not self.done:
            self.done, self.carry = done, jax.tree.map(jnp.copy, carry)


def test_a_request_that_was_cut_off_goes_on_to_the_same_bits(method, two_learned, data):
    inflight = Kept()
    whole = method.learn(two_learned, 1, data[1], inflight=inflight)
    assert inflight.told == [1, 2]
    resumed = method.learn(two_learned, 1, data[1], inflight=inflight)
    assert inflight.told == [1, 2, 2]
    assert same((whole.params, whole.fisher), (resumed.params, resumed.fisher))


def test_unlearning_trains_on_the_task_learned_last(method, two_learned, data):
    kept = jax.tree.map(np.array, dataclasses.replace(two_learned, key=0))
    assert method.reads == "latest"
    told = []
    after = method.unlearn(
        two_learned, 0, Past(retained={2: data[2]}), on_step=lambda s, n, loss: told.append((s, n))
    )
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert same(kept, dataclasses.replace(two_learned, key=0))
    assert after.status.tolist() == [UNLEARNED, NEW, LEARNED]
    for leaf in jax.tree.leaves((after.codes, after.anchors, after.fisher)):
        assert not np.any(leaf[0])
    held = [jax.tree.map(lambda a: a[2], (s.anchors, s.fisher)) for s in (after, two_learned)]
    assert same(*held)
    assert not same(after.params, two_learned.params)
    for past in (
        None,
        Past(),
        Past(retained={0: data[0]}),
        Past(retained={2: data[2], 1: data[1]}),
    ):
        with pytest.raises(UncleError, match="task 2's data"):
            method.unlearn(two_learned, 0, past)
    # With nothing retained nothing is trained.
    last = method.unlearn(after, 2, Past())
    assert same(last.params, after.params)
    assert (int(last.n_requests), int(last.n_unlearned)) == (4, 2)


def test_logits_are_those_of_the_tasks_head(method, two_learned, data, spec):
    images = data[0].images[:5]
    found = method.logits(two_learned, 0, images)
    model = two_learned.params, two_learned.stats
    net = multihead.multihead(spec, 3, SMALL, Linear(normed=True))
    wanted, _ = multihead.forward(net, *model, images, jnp.zeros(5, jnp.int32), train=False)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    assert method.logits(two_learned, 0, images[:0]).shape == (0, 3)


@pytest.mark.parametrize(
    "wrong",
    [{"lambda_ewc": -1.0}, {"temperature": 0.0}, {"head_epochs": -1}, {"norm": "batch"}],
)
def test_settings_that_cannot_work(wrong):
    with pytest.raises(UncleError, match=next(iter(wrong))):
        Lwsf(**wrong)
