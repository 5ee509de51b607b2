from functools import partial

import jax
import numpy as np
import pytest
from conftest import Given

from uncle_jax.config import Config
from uncle_jax.core import backbones, resnet

RNG = np.random.RandomState(0)


def drawn(config: Config, shape: tuple[int, ...]):
    """A ResNet with three classes, He weights from NumPy (its `init` compiles long), statistics."""
    module = backbones.from_config(config, 3)
    layout, stats = resnet.plan(module, shape, 5)
    theta: dict = {}
    for leaf in layout.leaves:
        node = theta
        for key in leaf.path[:-1]:
            node = node.setdefault(key, {})
        value = leaf.base + np.sqrt(leaf.variance) * RNG.normal(size=leaf.shape)
        node[leaf.path[-1]] = value.astype(np.float32)
    return module, theta, stats


def _parameters(config: Config, shape: tuple[int, ...]) -> int:
    return resnet.plan(backbones.from_config(config, 10), shape, 200)[0].size


def test_sizes_are_the_published_ones():
    """torchvision's ResNet-18 and ResNet-50 with ten classes, to the parameter."""
    assert _parameters(Config(backbone="resnet18"), (64, 64, 3)) == 11_181_642
    assert _parameters(Config(backbone="resnet50"), (64, 64, 3)) == 23_528_522


@pytest.mark.parametrize("stem", ["imagenet", "strided", "small"])
def test_a_prediction_does_not_depend_on_the_rest_of_its_batch(stem):
    config = Config(backbone="thin", width=4, stem=stem)
    module, theta, stats = drawn(config, (12, 12, 1))
    x = RNG.normal(size=(8, 12, 12, 1)).astype(np.float32)
    net = Given(module, config)
    apply = jax.jit(partial(resnet.apply, net), static_argnames=("train", "batch_stats"))
    _, stats = apply(theta, stats, x, train=True)  # statistics of its own
    alone = apply(theta, stats, x[:1], train=False)[0]
    together = apply(theta, stats, x, train=False)[0]
    np.testing.assert_allclose(alone[0], together[0], rtol=1e-5, atol=1e-6)
    # The authors' evaluation does depend on it: the test can tell.
    by_batch = apply(theta, stats, x, train=False, batch_stats=True)[0]
    first_four = apply(theta, stats, x[:4], train=False, batch_stats=True)[0]
    assert not np.allclose(by_batch[:4], first_four, rtol=1e-3)


def test_training_moves_the_statistics_and_evaluation_keeps_them():
    config = Config(backbone="thin", width=4, stem="small")
    module, theta, fresh = drawn(config, (12, 12, 1))
    net = Given(module, config)
    x = 3 + RNG.normal(size=(8, 12, 12, 1)).astype(np.float32)
    mean = np.asarray(fresh["BatchNorm_0"]["mean"])
    assert np.all(mean == 0)
    assert np.all(np.asarray(fresh["BatchNorm_0"]["var"]) == 1)
    train = jax.jit(partial(resnet.apply, net, train=True))
    _, trained = train(theta, fresh, x)
    _, evaluated = resnet.apply(net, theta, trained, x, train=False)
    assert not np.allclose(trained["BatchNorm_0"]["mean"], mean)
    assert evaluated is trained
