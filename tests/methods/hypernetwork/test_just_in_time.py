import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import HYPER, SPEC, TINY, Small, blobs

from uncle_jax.config import Hypernetwork, part
from uncle_jax.core.status import describe
from uncle_jax.errors import UncleError
from uncle_jax.methods.hypernetwork.just_in_time import JitHnet, jit_hnet
from uncle_jax.methods.protocol import Past


def jit(**settings):
    """The method at the tests' size, with `settings` of its own or of the learner."""
    tiny = vars(part(Hypernetwork, HYPER))
    return jit_hnet(SPEC, 3, TINY, Small(), JitHnet(**{**tiny, **settings}))


@pytest.fixture(scope="module")
def learned():
    method = jit()
    state = method.init(jax.random.key(0))
    return method.learn(method.learn(state, 0, blobs(0)), 1, blobs(2))


def roughness(method, state, task):
    """How far logits move with the input, a mean over images."""
    images = blobs(2 * task).images
    noise = np.random.RandomState(0).normal(0, 60, images.shape)
    moved = np.clip(images + noise, 0, 255).astype(np.uint8)
    apart = method.logits(state, task, images) - method.logits(state, task, moved)
    return float(np.mean(np.linalg.norm(apart, axis=-1)))


def test_the_forgotten_network_becomes_smooth_by_way_of_phi_alone(learned):
    method = jit(lr=1e-2, copies=4, batch=16, unlearn_clip_norm=None)
    losses = []
    after = method.unlearn(
        learned, 0, Past(forget=blobs(0)), on_step=lambda i, n, loss: losses.append((i, n))
    )
    assert losses == [(1, 3), (2, 3), (3, 3)]  # 48 images, one pass
    assert roughness(method, after, 0) < 0.8 * roughness(method, learned, 0)
    assert np.any(after.phi.trunk[0].w != learned.phi.trunk[0].w)
    for name in ("task_emb", "chunk_emb"):
        np.testing.assert_array_equal(getattr(after, name), getattr(learned, name))
    jax.tree.map(np.testing.assert_array_equal, after.phi_star, after.phi)
    assert describe(after) == {"learned": [1], "unlearned": [0]}
    assert describe(learned) == {"learned": [0, 1], "unlearned": []}


def test_l_reg_is_off_unless_asked_for(learned):
    # A heavy beta: with L_reg the retained task's network is held, without it is not.
    moved = {}
    for reg in (False, True):
        method = jit(lr=1e-3, copies=2, batch=16, reg=reg, unlearn_clip_norm=None, beta=1.0)
        after = method.unlearn(learned, 0, Past(forget=blobs(0)))
        before = method.logits(learned, 1, blobs(2).images)
        moved[reg] = float(jnp.abs(method.logits(after, 1, blobs(2).images) - before).mean())
    assert moved[True] < 0.9 * moved[False]


def test_it_needs_the_forgotten_tasks_data(learned):
    method = jit()
    assert method.reads == "forget"
    for past in (None, Past()):
        with pytest.raises(UncleError, match="forgotten task's data"):
            method.unlearn(learned, 0, past)
    with pytest.raises(UncleError, match="sigma must be positive"):
        JitHnet(sigma=0.0)


def test_a_step_is_no_longer_than_its_bound(learned):
    images, labels = blobs(0)
    one = Past(forget=(images[:16], labels[:16]))  # type: ignore[arg-type]
    method = jit(lr=0.5, copies=2, batch=16, unlearn_clip_norm=0.2)
    after = method.unlearn(learned, 0, one)
    pairs = zip(jax.tree.leaves(after.phi), jax.tree.leaves(learned.phi), strict=True)
    length = np.sqrt(sum(float(jnp.sum((a - b) ** 2)) for a, b in pairs))
    assert length == pytest.approx(0.5 * 0.2, rel=1e-3)
