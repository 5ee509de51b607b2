import jax
import numpy as np
import pytest
from conftest import HYPER, SPEC, TINY, Small, blobs

from uncle_jax.config import Hypernetwork, part
from uncle_jax.core.status import describe
from uncle_jax.errors import UncleError
from uncle_jax.methods.hypernetwork.gkt import GktHnet, gkt_hnet

SETTINGS = GktHnet(
    generator_iters=1,
    student_iters=5,
    student_steps=60,
    batch=32,
    student_lr=1e-2,
    latent=8,
    generator_width=4,
    **vars(part(Hypernetwork, HYPER)),
)


@pytest.fixture(scope="module")
def method():
    return gkt_hnet(SPEC, 3, TINY, Small(), SETTINGS)


@pytest.fixture(scope="module")
def learned(method):
    state = method.init(jax.random.key(0))
    return method.learn(method.learn(state, 0, blobs(0)), 1, blobs(2))


def probabilities(method, state, task):
    return np.asarray(jax.nn.softmax(method.logits(state, task, blobs(2 * task + 1).images)))


def test_a_new_hypernetwork_learns_from_the_old_one_without_data(method, learned):
    assert method.reads == "none"
    steps, losses = [], []

    def note(step, total, loss):
        steps.append((step, total))
        losses.append(float(loss))

    after = method.unlearn(learned, 0, on_step=note)
    assert steps == [(i, 72) for i in range(1, 73)]  # twelve pseudo-batches of 1 + 5
    assert all(loss <= 0 for loss in losses[::6])  # the generator's: the negative divergence
    assert np.mean(losses[-5:]) < np.mean(losses[1:6])
    assert describe(after) == {"learned": [1], "unlearned": [0]}
    assert describe(learned)["learned"] == [0, 1]
    for name in ("task_emb", "chunk_emb"):  # nothing of the old learner is left
        assert not np.any(np.asarray(getattr(after, name)) == np.asarray(getattr(learned, name)))
    # Nearer to what the teacher says than a network that was taught nothing.
    fresh = method.init(jax.random.key(5))
    teacher = probabilities(method, learned, 1)
    taught = np.abs(probabilities(method, after, 1) - teacher).mean()
    assert taught < np.abs(probabilities(method, fresh, 1) - teacher).mean()


def test_with_nothing_retained_what_is_left_is_a_fresh_learner(method):
    one = method.learn(method.init(jax.random.key(0)), 0, blobs(0))
    steps = []
    after = method.unlearn(one, 0, on_step=lambda *step: steps.append(step))
    assert steps == []
    assert describe(after) == {"learned": [], "unlearned": [0]}
    assert np.any(after.phi.trunk[0].w != one.phi.trunk[0].w)


@pytest.mark.parametrize(
    "wrong", [{"student_steps": 0}, {"beta_at": -1.0}, {"transfer_clip_norm": 0.0}]
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(UncleError, match=next(iter(wrong))):
        GktHnet(**wrong)
