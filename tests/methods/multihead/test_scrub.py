"""SCRUB: which passes an epoch has, and which way each of them goes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import TINY, Linear, blobs, same
from replaying import in_buffer, softmax

from uncle_jax.core.status import LEARNED, UNLEARNED
from uncle_jax.errors import UncleError
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead import scrub as module
from uncle_jax.methods.multihead.network import Request
from uncle_jax.methods.multihead.scrub import (
    Scrub,
    algorithm,
    forget_loss,
    learning_rate,
    passes,
    retain_loss,
    scrub,
)
from uncle_jax.methods.protocol import Past


def kd(teacher, logits, t):
    """[B] T^2 KL(teacher || student), in NumPy."""
    q, p = softmax(teacher / t), softmax(logits / t)
    return t**2 * (q * (np.log(q) - np.log(p))).sum(-1)


def test_both_losses():
    rng = np.random.RandomState(0)
    teacher, logits = (rng.normal(0, 3, (5, 4)).astype(np.float32) for _ in range(2))
    labels = rng.randint(0, 4, 5)
    away = -kd(teacher, logits, 4.0).mean()
    assert away < 0
    np.testing.assert_allclose(forget_loss(teacher, logits, 4.0), away, rtol=1e-4)
    hard = -np.log(softmax(logits))[np.arange(5), labels].mean()
    found = retain_loss(jnp.asarray(teacher), jnp.asarray(logits), labels, 0.9, 0.2, 2.0)
    expected = 0.9 * hard + 0.2 * kd(teacher, logits, 2.0).mean()
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_forget_passes_come_first_and_in_the_first_epochs_only():
    assert passes(3, 2, True) == [(1, True), (1, False), (2, True), (2, False), (3, False)]
    assert passes(3, 2, False) == [(1, True), (2, True)]
    assert passes(1, 5, True) == [(1, True), (1, False)]


def test_the_learning_rate_decays_after_its_epochs():
    settings = Scrub(lr=1.0, lr_decay_epochs=(3, 5), lr_decay=0.1)
    rates = [learning_rate(settings, epoch) for epoch in (1, 3, 4, 5, 6, 9)]
    np.testing.assert_allclose(rates, [1, 1, 0.1, 0.1, 0.01, 0.01])


@pytest.fixture(scope="module")
def two(spec):
    """(net, a linear model, data of task 0 and of task 1)."""
    net = multihead.multihead(spec, 2, TINY, Linear(6))
    model = multihead.init(net, jax.random.key(0))
    return net, model, *(multihead.one_task(*blobs(2 * t, 16), t) for t in (0, 1))


def head_gradient(weights, rows, task, d_logits):
    """[F + 1, 6] gradient of a mean over the batch, from that of each sample's own logits."""
    x = ((np.asarray(rows.images) / 255 - 0.5) / 0.25).reshape(16, -1)
    x = np.concatenate([x, np.ones((16, 1))], 1)
    z = x @ weights[:, 3 * task : 3 * task + 3]
    grad = np.zeros_like(weights)
    grad[:, 3 * task : 3 * task + 3] = x.T @ d_logits(z, x) / 16
    return grad


def test_a_forget_and_a_retain_step_are_sgds(two):
    """Three epochs of a batch a pass, the last one without a forget pass.

    The first forget step is at the teacher itself, where KD has no gradient: only weight decay
    moves it. The second one shows the sign.
    """
    net, model, forget, retain = two
    settings = Scrub(
        epochs=3,
        msteps=2,
        lr=0.1,
        lr_decay_epochs=(1,),
        lr_decay=0.5,
        momentum=0.9,
        weight_decay=0.01,
        gamma=0.7,
        alpha=0.3,
        temperature=2.0,
        forget_batch=16,
        retain_batch=16,
    )
    seen = []
    after = algorithm(net, settings)(
        model,
        Request(0, (1,), forget, retain),
        jax.random.key(1),
        lambda step, steps, loss: seen.append((step, steps, float(loss))),
    )

    t, labels = 2.0, np.asarray(retain.labels)
    dense = model.params["Dense_0"]
    start = np.concatenate([dense["kernel"], dense["bias"][None]]).astype(np.float64)

    def pull(z, x, task):
        """Gradient of KD: T (p_T(student) - p_T(teacher))."""
        return t * (softmax(z / t) - softmax(x @ start[:, 3 * task : 3 * task + 3] / t))

    def away(z, x):
        return -pull(z, x, 0)

    def near(z, x):
        return 0.7 * (softmax(z) - np.eye(3)[labels]) + 0.3 * pull(z, x, 1)

    weights, momentum = start, np.zeros_like(start)
    for lr, task, rows, slope in (
        (0.1, 0, forget, away),
        (0.1, 1, retain, near),
        (0.05, 0, forget, away),
        (0.05, 1, retain, near),
        (0.05, 1, retain, near),
    ):
        grad = head_gradient(weights, rows, task, slope)
        momentum = 0.9 * momentum + grad + 0.01 * weights
        weights = weights - lr * momentum
    found = np.concatenate(
        [after.params["Dense_0"]["kernel"], after.params["Dense_0"]["bias"][None]]
    )
    np.testing.assert_allclose(found, weights, rtol=1e-3, atol=1e-4)
    assert [s[:2] for s in seen] == [(step, 5) for step in range(1, 6)]
    assert [loss < 0 for _, _, loss in seen[1:]] == [False, True, False, False]


def test_forgetting_alone_goes_away_from_the_model(two):
    net, model, forget, _ = two
    settings = Scrub(epochs=8, msteps=8, lr=0.2, weight_decay=0.05, forget_batch=16)
    losses = []
    answer = algorithm(net, settings)
    after = answer(
        model,
        Request(0, (), forget, None),
        jax.random.key(1),
        lambda step, steps, loss: losses.append(float(loss)),
    )
    assert len(losses) == 8
    assert losses[-1] < losses[3] < losses[1] < 0  # what starts it is the weight decay
    logits = [
        np.asarray(multihead.forward(net, *m, jnp.asarray(forget.images), forget.tasks, False)[0])
        for m in (model, after)
    ]
    assert kd(*logits, 4.0).mean() > -losses[-1]  # the last step went further still


def test_a_forget_pass_can_be_cut_short(two):
    net, model, forget, retain = two
    settings = Scrub(epochs=2, msteps=1, forget_batch=4, retain_batch=16, max_forget_steps=2)
    steps = []
    algorithm(net, settings)(
        model,
        Request(0, (1,), forget, retain),
        jax.random.key(1),
        lambda step, n, loss: steps.append((step, n)),
    )
    assert steps == [(step, 4) for step in range(1, 5)]  # 2 to forget, 1 to retain in each epoch


@pytest.mark.parametrize("more", [{}, {"optimiser": "adam", "clip_norm": 1.0}])
def test_a_request_of_its_own(spec, more):
    traces = {"forget_loss": 0, "retain_loss": 0}
    settings = Scrub(buffer_per_task=32, **more)

    def counted(name, original):
        def function(*args):
            traces[name] += 1
            return original(*args)

        return function

    method = scrub(spec, 4, TINY, Linear(12), settings)
    assert (method.name, method.reads) == ("scrub", "forget+retain")
    state = in_buffer(method)
    before = jax.tree.map(np.array, (state.params, state.stats, state.buffer))
    with pytest.MonkeyPatch.context() as patch:
        for name in traces:
            patch.setattr(module, name, counted(name, getattr(module, name)))
        with pytest.raises(UncleError, match="reads the forgotten task's data"):
            method.unlearn(state, 0)
        after = method.unlearn(state, 0, Past(blobs(0)))
        last = method.unlearn(after, 2, Past(blobs(4)))
    assert same(before, (state.params, state.stats, state.buffer))
    assert after.status.tolist() == [UNLEARNED, 0, LEARNED, 0]
    assert last.status.tolist() == [UNLEARNED, 0, UNLEARNED, 0]
    assert not same(after.params, state.params)
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(last.params))
    assert traces == {"forget_loss": 1, "retain_loss": 1}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": 0.0}, "temperature must be positive"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"alpha": -1.0}, "alpha must not be negative"),
        ({"max_forget_steps": -1}, "max_forget_steps must not be negative"),
        ({"optimiser": "adamw"}, "unknown optimiser 'adamw'"),
        ({"buffer_per_task": 0}, "buffer_per_task"),
    ],
)
def test_settings_that_cannot_be_meant(wrong, message):
    with pytest.raises(UncleError, match=message):
        Scrub(**wrong)
