from functools import partial

import jax
import numpy as np
import pytest

from uncle_jax.config import Config
from uncle_jax.core import resnet


def _parameters(config: Config, shape: tuple[int, ...]) -> int:
    return resnet.plan(resnet.from_config(config, 10), shape, 200)[0].size


def test_sizes_are_the_published_ones():
    """torchvision's ResNet-18 and ResNet-50 with ten classes, to the parameter."""
    assert _parameters(Config(backbone="resnet18"), (64, 64, 3)) == 11_181_642
    assert _parameters(Config(backbone="resnet50"), (64, 64, 3)) == 23_528_522


@pytest.mark.parametrize("stem", ["imagenet", "strided", "small"])
def test_a_prediction_does_not_depend_on_the_rest_of_its_batch(stem):
    config = Config(backbone="thin", width=4, stem=stem)
    module = resnet.from_config(config, 3)
    x = jax.random.normal(jax.random.key(0), (8, 12, 12, 1))
    init = jax.jit(module.init, static_argnames="train")
    variables = init(jax.random.key(1), x, train=False)
    theta, stats = variables["params"], variables["batch_stats"]
    apply = jax.jit(partial(resnet.apply, module), static_argnames=("train", "batch_stats"))
    _, stats = apply(theta, stats, x, train=True)  # statistics of its own
    alone = apply(theta, stats, x[:1], train=False)[0]
    together = apply(theta, stats, x, train=False)[0]
    np.testing.assert_allclose(alone[0], together[0], rtol=1e-5, atol=1e-6)
    # The authors' evaluation does depend on it: the test can tell.
    by_batch = apply(theta, stats, x, train=False, batch_stats=True)[0]
    first_four = apply(theta, stats, x[:4], train=False, batch_stats=True)[0]
    assert not np.allclose(by_batch[:4], first_four, rtol=1e-3)


def test_training_moves_the_statistics_and_evaluation_keeps_them():
    module = resnet.from_config(Config(backbone="thin", width=4, stem="small"), 3)
    x = 3 + jax.random.normal(jax.random.key(0), (8, 6, 6, 1))
    _, fresh = resnet.plan(module, (6, 6, 1), 5)
    theta = module.init(jax.random.key(1), x, train=False)["params"]
    mean = np.asarray(fresh["BatchNorm_0"]["mean"])
    assert np.all(mean == 0)
    assert np.all(np.asarray(fresh["BatchNorm_0"]["var"]) == 1)
    _, trained = resnet.apply(module, theta, fresh, x, train=True)
    _, evaluated = resnet.apply(module, theta, trained, x, train=False)
    assert not np.allclose(trained["BatchNorm_0"]["mean"], mean)
    assert evaluated is trained
