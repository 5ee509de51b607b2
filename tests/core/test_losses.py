"""The baselines' losses, by their definitions in NumPy."""

import jax
import numpy as np
from replaying import softmax

from uncle_jax.core import losses

Z = np.random.RandomState(0).normal(0, 2, (2, 5, 4)).astype(np.float32)  # two batches of logits


def test_cross_entropy_is_minus_the_labels_log_probability():
    labels = np.array([0, 3, 1, 1, 2])
    expected = -np.log(softmax(Z[0])[np.arange(5), labels])
    np.testing.assert_allclose(losses.cross_entropy(Z[0], labels), expected, rtol=1e-5)


def test_kl_is_from_the_target_and_softened_on_both_sides():
    for temperature in (1.0, 3.0):
        p, q = softmax(Z[0] / temperature), softmax(Z[1] / temperature)
        expected = np.sum(p * np.log(p / q), axis=-1)
        found = losses.kl(Z[0], Z[1], temperature)
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert not np.allclose(losses.kl(Z[0], Z[1]), losses.kl(Z[1], Z[0]), rtol=0.1)
    np.testing.assert_allclose(losses.kl(Z[0], Z[0] + 7), 0, atol=1e-5)


def test_distillation_keeps_the_size_of_its_gradient():
    """T^2 makes the gradient that of the squared distance of centred logits, as T grows."""
    gradient = jax.grad(lambda z: losses.distillation(Z[0], z, 100.0).sum())(Z[1])
    apart = Z[1] - Z[0]
    expected = (apart - apart.mean(-1, keepdims=True)) / 4
    np.testing.assert_allclose(gradient, expected, rtol=0.1, atol=0.02)
