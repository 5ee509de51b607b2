"""The vision transformer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import HYPER, TINY

from uncle_jax.config import replace
from uncle_jax.core import resnet
from uncle_jax.core.vit import DEPTH, PATCH, ViT
from uncle_jax.methods.uncle import uncle
from uncle_jax.tasks import Data, InputSpec


def variables(net, shape=(8, 8, 1)):
    return net.init(jax.random.key(0), jnp.zeros((2, *shape)), train=False)


@pytest.mark.parametrize(("stem", "patch"), PATCH.items())
def test_its_patches_are_the_stems(stem, patch):
    net = resnet.from_config(replace(TINY, {"backbone": "vit", "stem": stem, "width": "16"}), 3)
    told = variables(net, (16, 16, 3))
    assert set(told) == {"params"}, "no batch statistics"
    params = told["params"]
    assert params["patches"]["kernel"].shape == (patch, patch, 3, 16)
    assert params["positions"]["embedding"].shape == ((16 // patch) ** 2, 16)
    assert sum(name.startswith("Block") for name in params) == DEPTH
    assert net.apply(told, jnp.ones((5, 16, 16, 3)), train=True).shape == (5, 3)


def test_a_prediction_does_not_depend_on_its_batch():
    net = ViT(3, width=16, patch=2)
    told, x = variables(net), jax.random.normal(jax.random.key(1), (4, 8, 8, 1))
    together = net.apply(told, x, train=True)
    alone = jnp.concatenate([net.apply(told, one[None], train=False) for one in x])
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_positions_tell_patches_apart():
    net = ViT(3, width=16, patch=2)
    told, x = variables(net), jax.random.normal(jax.random.key(1), (1, 8, 8, 1))
    turned = jnp.flip(x, 1)
    assert not np.allclose(net.apply(told, x, train=False), net.apply(told, turned, train=False))
    params = dict(told["params"])
    params["positions"] = {"embedding": jnp.zeros_like(params["positions"]["embedding"])}
    blocks = x.reshape(1, 4, 2, 4, 2, 1).transpose(0, 1, 3, 2, 4, 5).reshape(1, 16, 2, 2, 1)
    mixed = blocks[:, ::-1].reshape(1, 4, 4, 2, 2, 1).transpose(0, 1, 3, 2, 4, 5)
    images = x, mixed.reshape(x.shape)
    one, other = (net.apply({"params": params}, image, train=False) for image in images)
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
    config = replace(TINY, {"backbone": "vit", "stem": "small", "width": "16", "epochs": "8"})
    learner = uncle(spec, 2, config, settings=HYPER)
    images = np.random.RandomState(0).randint(0, 256, (48, 8, 8, 1)).astype(np.uint8)
    data = Data(images, (np.arange(48) % 3).astype(np.int32))
    state = learner.learn(learner.init(jax.random.key(0)), 0, data)
    answers = learner.logits(state, 0, images)
    assert np.isfinite(answers).all()
    state = learner.unlearn(state, 0)
    assert not np.allclose(learner.logits(state, 0, images), answers)
