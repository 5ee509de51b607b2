import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from conftest import SPEC, TINY, Heads, blobs

from uncle_jax.errors import UncleError
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.derpp import derpp
from uncle_jax.methods.multihead.network import Rows
from uncle_jax.methods.multihead.replay import Derpp, Learning, NewBatch, Replay, step


def log_softmax(z):
    return (
        z
        - np.log(np.exp(z - z.max(-1, keepdims=True)).sum(-1, keepdims=True))
        - z.max(-1, keepdims=True)
    )


@pytest.mark.parametrize("norm", ["joint", "apart"])
def test_the_loss_is_that_of_its_definition(norm):
    net = multihead.multihead(SPEC, 4, TINY, Heads(normed=False))
    params, stats = multihead.init(net, jax.random.key(1))
    rng = np.random.RandomState(0)
    rows = Rows(rng.rand(5, 6, 6, 1).astype(np.float32), rng.randint(0, 3, 5), np.full(5, 2))
    replay = Replay(
        rng.rand(4, 6, 6, 1).astype(np.float32),
        rng.randint(0, 3, 4),
        rng.randn(4, 3).astype(np.float32),
        np.array([0, 1, 0, 1]),
        np.full(4, 0.25, np.float32),
    )

    def logits(images, tasks):
        x = (images.reshape(len(images), -1) - 0.5) / 0.25
        hidden = np.maximum(x @ params["Dense_0"]["kernel"] + params["Dense_0"]["bias"], 0)
        out = hidden @ params["Dense_1"]["kernel"] + params["Dense_1"]["bias"]
        return np.stack([row[3 * t : 3 * t + 3] for row, t in zip(out, tasks, strict=True)])

    own, past = logits(rows.images, rows.tasks), logits(replay.images, replay.tasks)
    expected = -log_softmax(own)[np.arange(5), rows.labels].mean()
    for task in (0, 1):
        of = replay.tasks == task
        mse = ((past[of] - replay.logits[of]) ** 2).mean()
        ce = -log_softmax(past[of])[np.arange(2), replay.labels[of]].mean()
        expected += (0.3 * mse + 0.7 * ce) / 2  # two earlier tasks

    settings = Derpp(w_mse=0.3, w_ce=0.7, norm=norm)
    slots, index = np.array([0, 20, 3, 20, 1], np.int32), np.arange(10, 15, dtype=np.int32)
    optimiser = optax.scale_by_adam().init(params)
    carry = Learning(params, stats, optimiser, jnp.zeros(20, jnp.int32), jnp.zeros((20, 3)))
    carry = jax.tree.map(jnp.copy, carry)
    after, loss = step(net, settings, carry, NewBatch(rows, index, slots), replay, np.float32(0.1))
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    assert after.source[:4].tolist() == [10, 14, 0, 12]
    np.testing.assert_allclose(after.logits[3], own[2], rtol=1e-5)


@pytest.fixture(scope="module")
def method():
    return derpp(SPEC, 4, TINY, Heads(), Derpp(buffer_per_task=20))


@pytest.fixture(scope="module")
def learned(method):
    return method.learn(method.init(jax.random.key(0)), 1, blobs(2))


def test_the_buffer_holds_samples_of_the_task_with_their_labels(learned):
    assert learned.buffer.count.tolist() == [0, 20, 0, 0]
    images, labels = blobs(2)
    lookup = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    for image, label in zip(learned.buffer.images[1], learned.buffer.labels[1], strict=True):
        assert lookup[np.asarray(image).tobytes()] == int(label)
    assert np.all(np.std(np.asarray(learned.buffer.logits[1]), axis=0) > 0)


def test_progress_within_a_request_is_resumed_to_the_same_bits(method, learned):
    class Stop(Exception):
        pass

    class Inflight:
        kept = None

        def resume(self, carry):
            return self.kept or (0, carry)

        def after_epoch(self, done, carry):
            self.kept = done, jax.tree.map(jnp.copy, carry)
            raise Stop

    inflight = Inflight()
    with pytest.raises(Stop):
        method.learn(learned, 2, blobs(4), inflight=inflight)
    resumed = method.learn(learned, 2, blobs(4), inflight=inflight)
    whole = method.learn(learned, 2, blobs(4))
    jax.tree.map(np.testing.assert_array_equal, resumed.params, whole.params)
    jax.tree.map(np.testing.assert_array_equal, resumed.buffer, whole.buffer)


@pytest.mark.parametrize("wrong", [{"buffer_per_task": 0}, {"w_mse": -1.0}, {"replay_batch": 0}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(UncleError, match=next(iter(wrong))):
        Derpp(**wrong)
