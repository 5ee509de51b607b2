"""GKT: it sees no data, its two players pull apart, its terms against NumPy, one request."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import TINY, same
from replaying import GKT as SETTINGS
from replaying import Tiny, in_buffer

from uncle_jax.core.resnet import Block
from uncle_jax.core.status import LEARNED, UNLEARNED
from uncle_jax.engine.sequence import run_sequence
from uncle_jax.errors import UncleError
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.gkt import (
    Generator,
    Gkt,
    algorithm,
    attention,
    attention_transfer,
    gated,
    generate,
    gkt,
    look,
    mean_kl,
    pseudo_batches,
    stages,
)
from uncle_jax.methods.multihead.network import Request
from uncle_jax.requests import parse


class Blocks(nn.Module):
    """Blocks of these (features, stride): two stages, the first of two blocks."""

    blocks: tuple[tuple[int, int], ...] = ((2, 1), (2, 1), (3, 2))

    @nn.compact
    def __call__(self, x, train):
        for features, stride in self.blocks:
            x = Block(features, stride, 0.9)(x, train)
        return nn.Dense(6)(x.mean((1, 2)))


@pytest.fixture(scope="module")
def method(spec):
    return gkt(spec, 2, TINY, Tiny(), SETTINGS)


@pytest.fixture(scope="module")
def two_learned(method):
    return in_buffer(method, (0, 1), 20)


@pytest.fixture(scope="module")
def net(spec):
    return multihead.multihead(spec, 2, TINY, Tiny())


def drawn(net, key):
    return jax.jit(lambda key: multihead.init(net, key))(key)


def arrays(*shape):
    return jnp.asarray(np.random.RandomState(len(shape)).normal(size=shape), jnp.float32)


def test_it_sees_no_image_and_no_stored_logits(method, two_learned):
    """Another buffer, of every task, gives the same model to the bit."""
    buffer = dataclasses.replace(
        two_learned.buffer,
        images=255 - two_learned.buffer.images,
        labels=2 - two_learned.buffer.labels,
        logits=two_learned.buffer.logits + 7,
    )
    plain = method.unlearn(two_learned, 0)
    poisoned = method.unlearn(dataclasses.replace(two_learned, buffer=buffer), 0)
    assert same((plain.params, plain.stats), (poisoned.params, poisoned.stats))
    assert method.reads == "none"


def test_a_request(method, two_learned):
    before = jax.tree.map(np.array, (two_learned.params, two_learned.stats))
    seen = []
    after = method.unlearn(two_learned, 0, on_step=lambda *step: seen.append(step))
    assert [step[:2] for step in seen] == [(i, 6) for i in range(1, 7)]  # 2 x (1 + 2)
    assert all(np.isfinite(float(loss)) for *_, loss in seen)
    assert seen[0][2] < 0 < seen[1][2]  # generator, student
    assert after.status.tolist() == [UNLEARNED, LEARNED]
    assert after.buffer.count.tolist() == [0, 20]
    assert same((two_learned.params, two_learned.stats), before)


def test_distillation_brings_the_student_to_the_teacher_on_retained_heads_only(net):
    """The forgotten head stays as it was drawn; the retained one learns to agree."""
    teacher = drawn(net, jax.random.key(1))
    teacher.params["Dense_1"]["bias"] = jnp.array([0.0, 0, 0, 3, -3, 0])
    many = dataclasses.replace(SETTINGS, student_steps=100, generator_iters=0, beta_at=0.0)
    key, request = jax.random.key(2), Request(0, (1,), None, None)
    run = algorithm(net, many)
    fresh = run(teacher, request._replace(retained=()), key, None)
    found = run(teacher, request, key, None)
    for leaf in ("kernel", "bias"):
        now, then = (model.params["Dense_1"][leaf] for model in (found, fresh))
        np.testing.assert_array_equal(now[..., :3], then[..., :3])
        assert not np.array_equal(now[..., 3:], then[..., 3:])
    bias = found.params["Dense_1"]["bias"][3:]
    assert bias[0] > bias[2] > bias[1]
    assert not same(fresh.params, teacher.params)


def test_the_generator_climbs_the_divergence_that_the_student_descends(net):
    """On one z: over the steps of one player alone the divergence goes its way."""
    settings = dataclasses.replace(
        SETTINGS, generator_iters=40, student_iters=40, student_steps=1, beta_at=0.0
    )
    teacher = drawn(net, jax.random.key(1))
    seen = []
    algorithm(net, settings)(
        teacher,
        Request(0, (1,), None, None),
        jax.random.key(2),
        lambda step, steps, loss: seen.append(float(loss)),
    )
    climbed, descended = [-loss for loss in seen[:40]], seen[40:]
    assert min(climbed + descended) > 0
    assert climbed[-1] > 1.2 * climbed[0]
    assert descended[-1] < 0.8 * descended[0]


def test_attention_transfer_against_numpy():
    one, other = arrays(3, 4, 2, 5), 2 * arrays(3, 4, 2, 5) + 1
    weights = np.array([1.0, 0.0, 1.0])

    def maps(x):
        flat = (np.asarray(x, np.float64) ** 2).mean(-1).reshape(3, -1)
        return flat / np.linalg.norm(flat, axis=1, keepdims=True)

    squares = (maps(one) - maps(other)) ** 2
    found = attention_transfer([one, one], [other, one], jnp.asarray(weights))
    assert float(found) == pytest.approx(squares[[0, 2]].mean(), rel=1e-4)
    assert float(attention_transfer([], [], jnp.asarray(weights))) == 0
    grad = jax.grad(lambda x: jnp.sum(attention(x) ** 2))(jnp.zeros((1, 2, 2, 3)))
    assert np.all(np.isfinite(grad))


def test_divergence_is_the_teachers_mean_over_batch_and_classes():
    teacher, student = arrays(4, 3), 3 * arrays(4, 3) - 1

    def log_p(z):
        z = np.asarray(z, np.float64)
        return z - np.log(np.exp(z).sum(1, keepdims=True))

    terms = np.exp(log_p(teacher)) * (log_p(teacher) - log_p(student))
    weights = jnp.array([1.0, 1.0, 0.0, 1.0])
    found = mean_kl(teacher, student, weights, jnp.float32(3))
    assert float(found) == pytest.approx(terms[[0, 1, 3]].mean(), rel=1e-4)


def test_gate_drops_what_the_forgotten_head_is_sure_of():
    logits = jnp.log(jnp.array([[0.5, 0.3, 0.2], [0.8, 0.1, 0.1]]))
    assert gated(logits, 0.6).tolist() == [1, 0]
    assert gated(logits, None).tolist() == [1, 1]


def test_a_gate_that_drops_everything_leaves_the_student_as_drawn(net):
    settings = dataclasses.replace(SETTINGS, gate=0.01, generator_iters=0)  # no image passes
    teacher, key = drawn(net, jax.random.key(1)), jax.random.key(2)
    run = algorithm(net, settings)
    found = run(teacher, Request(0, (1,), None, None), key, None)
    assert same(found, run(teacher, Request(0, (), None, None), key, None))


def test_stage_outputs_are_the_last_of_each_size(spec):
    net = multihead.multihead(spec, 2, TINY, Blocks())
    model = drawn(net, jax.random.key(0))
    x = arrays(2, 6, 6, 1)
    calm = jax.jit(lambda model, x: look(net, model, x, train=False))
    outputs, stats, found = calm(model, x)
    assert [a.shape for a in found] == [(2, 6, 6, 2), (2, 3, 3, 3)]
    last = model.params["Dense_0"]
    np.testing.assert_allclose(
        outputs, found[-1].mean((1, 2)) @ last["kernel"] + last["bias"], rtol=1e-4, atol=1e-6
    )
    assert same(stats, model.stats)
    live = jax.jit(lambda model, x: look(net, model, x, train=True)[1])
    assert not same(live(model, x), model.stats)
    tenth = {f"Block_{i}": {"__call__": (jnp.full(1, float(i)),)} for i in range(11)}
    assert float(stages(tenth)[0][0]) == 10  # not 9, the last in the order of text


def test_attention_transfer_reaches_the_student(spec):
    net = multihead.multihead(spec, 2, TINY, Blocks(((1, 1),)))
    teacher, losses = drawn(net, jax.random.key(0)), []
    for beta in (0.0, 50.0):
        settings = dataclasses.replace(
            SETTINGS, beta_at=beta, generator_iters=0, student_iters=1, student_steps=1
        )
        algorithm(net, settings)(
            teacher,
            Request(0, (1,), None, None),
            jax.random.key(2),
            lambda step, steps, loss: losses.append(float(loss)),
        )
    assert losses[1] > losses[0] > 0


@pytest.mark.parametrize("shape", [(6, 6, 1), (9, 5, 3)])
def test_generated_images_have_the_networks_shape_and_are_normalised(shape):
    generator, z = Generator(shape), arrays(16, 4)

    @jax.jit
    def draw(key):
        return generate(generator, generator.init(key, z)["params"], z)

    images = draw(jax.random.key(0))
    assert images.shape == (16, *shape)
    np.testing.assert_allclose(images.mean((0, 1, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(images.std((0, 1, 2)), 1, atol=1e-2)


def test_budget():
    assert pseudo_batches(Gkt()) == 67  # ceil(1000 / 15)


def test_runs_in_a_sequence(method, blob_benchmark):
    run = run_sequence(method, blob_benchmark, parse("L0 L1 U0 U1"), jax.random.key(0))
    assert run.state.status.tolist() == [UNLEARNED, UNLEARNED]
    assert run.state.buffer.count.tolist() == [0, 0]
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(run.state.params))


@pytest.mark.parametrize(
    "wrong", [{"student_iters": 0}, {"beta_at": -1.0}, {"transfer_clip_norm": 0.0}, {"gate": 0.0}]
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(UncleError, match=next(iter(wrong))):
        Gkt(**wrong)
