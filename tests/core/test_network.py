"""What is static in a learner, and that equal learners share it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from conftest import HYPER, TINY, Small

from uncle_jax.core import backbones
from uncle_jax.core.network import network, optimiser


def test_equal_arguments_share_a_network():
    def of(main_net):
        return network(main_net, (6, 6, 1), TINY, HYPER)

    assert of(Small()) is of(Small())
    assert of(Small()) is not of(Small(normed=False))
    assert of(backbones.from_config(TINY, 3)) is of(backbones.from_config(TINY, 3))
    assert of(backbones.from_config(TINY, 3)) is not of(backbones.from_config(TINY, 4))


def test_gradients_are_clipped_by_their_norm_where_they_are():
    grad = {"w": jnp.asarray([30.0, 40.0])}
    for clip_norm, first_moment in ((None, [3.0, 4.0]), (1.0, [0.06, 0.08])):
        adam = optimiser(clip_norm)
        _, state = adam.update(grad, adam.init(grad))
        (mu,) = (s.mu for s in state if hasattr(s, "mu"))
        np.testing.assert_allclose(mu["w"], first_moment, rtol=1e-5)  # (1 - 0.9) of the gradient


def test_the_drift_has_gains_where_it_is_measured_in_theta():
    assert network(Small(), (6, 6, 1), TINY, HYPER).drift_gains is None
    in_theta = dataclasses.replace(HYPER, output_space="theta", parametrisation="gain")
    net = network(Small(), (6, 6, 1), TINY, in_theta)
    gains = net.drift_gains
    assert gains is not None
    assert set(gains) == set(net.layout.kinds)
    assert jax.tree.all(jax.tree.map(lambda g: bool(np.all(g > 0)), gains))
