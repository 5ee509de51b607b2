"""The vision transformer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import HYPER, TINY

from uncle_jax.config import replace
from uncle_jax.core import backbones, resnet
from uncle_jax.core.vit import DEPTH, PATCH, ViT
from uncle_jax.methods.uncle import uncle
from uncle_jax.tasks import Data, InputSpec

SMALL = ViT(3, width=16, patch=2, depth=1)
answers = jax.jit(lambda told, x: SMALL.apply(told, x, train=False))


def variables():
    init = jax.jit(lambda x: SMALL.init(jax.random.key(0), x, train=False))
    return init(jnp.zeros((2, 8, 8, 1)))


@pytest.mark.parametrize(("stem", "patch"), PATCH.items())
def test_its_patches_are_the_stems(stem, patch):
    net = backbones.from_config(replace(TINY, {"backbone": "vit", "stem": stem, "width": "16"}), 3)
    x = jax.ShapeDtypeStruct((5, 16, 16, 3), jnp.float32)
    told = jax.eval_shape(lambda x: net.init(jax.random.key(0), x, train=False), x)
    assert set(told) == {"params"}, "no batch statistics"
    params = told["params"]
    assert params["patches"]["kernel"].shape == (patch, patch, 3, 16)
    assert params["positions"]["embedding"].shape == ((16 // patch) ** 2, 16)
    assert sum(name.startswith("Block") for name in params) == DEPTH
    assert jax.eval_shape(lambda v, x: net.apply(v, x, train=True), told, x).shape == (5, 3)


def test_a_prediction_does_not_depend_on_its_batch():
    told, x = variables(), jax.random.normal(jax.random.key(1), (4, 8, 8, 1))
    together = jax.jit(lambda told, x: SMALL.apply(told, x, train=True))(told, x)
    alone = jnp.concatenate([answers(told, one[None]) for one in x])
    np.testing.assert_allclose(together, alone, atol=1e-5)


@pytest.mark.parametrize("width", [8, 40, 50, 64])
def test_any_width_has_heads_that_divide_it(width):
    x = jax.ShapeDtypeStruct((2, 8, 8, 1), jnp.float32)
    net = ViT(3, width=width)
    told, _ = jax.eval_shape(lambda x: net.init_with_output(jax.random.key(0), x, train=True), x)
    assert told.shape == (2, 3)


def test_positions_tell_patches_apart():
    told, x = variables(), jax.random.normal(jax.random.key(1), (1, 8, 8, 1))
    turned = jnp.flip(x, 1)
    assert not np.allclose(answers(told, x), answers(told, turned))
    params = dict(told["params"])
    params["positions"] = {"embedding": jnp.zeros_like(params["positions"]["embedding"])}
    blocks = x.reshape(1, 4, 2, 4, 2, 1).transpose(0, 1, 3, 2, 4, 5).reshape(1, 16, 2, 2, 1)
    mixed = blocks[:, ::-1].reshape(1, 4, 4, 2, 2, 1).transpose(0, 1, 3, 2, 4, 5)
    images = x, mixed.reshape(x.shape)
    one, other = (answers({"params": params}, image) for image in images)
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_generated_one_has_hes_variance():
    net = ViT(10, width=32, patch=2)
    layout, stats = resnet.plan(net, (8, 8, 1), chunks=7)
    assert stats == {}
    assert layout.kinds == ("weight", "norm")
    kernels = {leaf.path: leaf for leaf in layout.leaves if leaf.path[-1] == "kernel"}
    for leaf in kernels.values():
        assert leaf.variance == pytest.approx(2 / np.prod(leaf.shape[:-1]))
    scales = [leaf for leaf in layout.leaves if leaf.path[-1] == "scale"]
    assert len(scales) == 2 * DEPTH + 1
    assert all((leaf.base, leaf.variance, leaf.kind) == (1.0, 0.0, "norm") for leaf in scales)


def test_it_is_learned_and_unlearned():
    spec = InputSpec((8, 8, 1), 3, (0.5,), (0.25,))
    learner = uncle(spec, 2, replace(TINY, {"epochs": "8"}), ViT(3, 8, 4, 1), settings=HYPER)
    images = np.random.RandomState(0).randint(0, 256, (48, 8, 8, 1)).astype(np.uint8)
    data = Data(images, (np.arange(48) % 3).astype(np.int32))
    state = learner.learn(learner.init(jax.random.key(0)), 0, data)
    before = learner.logits(state, 0, images)
    assert np.isfinite(before).all()
    state = learner.unlearn(state, 0)
    assert not np.allclose(learner.logits(state, 0, images), before)
