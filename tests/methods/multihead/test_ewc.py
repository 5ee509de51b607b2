"""EWC: the parabola against the sum it stands for, and the Fisher information against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import TINY, Linear, blobs

from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.ewc import ewc_loss, ewc_of, fisher_of


@pytest.fixture(scope="module")
def net(spec):
    return multihead.multihead(spec, 3, TINY, Linear(9))


def test_ewc_as_a_parabola_has_the_sums_value_and_gradient(net):
    params, _ = multihead.init(net, jax.random.key(0))
    rng = np.random.default_rng(0)
    anchors = jax.tree.map(lambda a: jnp.asarray(rng.normal(size=(3, *a.shape))), params)
    fisher = jax.tree.map(lambda a: jnp.asarray(rng.uniform(size=(3, *a.shape))), params)
    ewc = ewc_of(fisher, anchors, jnp.array([1.0, 0.0, 1.0]))

    def plain(params):
        def one(p, f, a):
            return jnp.sum((f * (p - a) ** 2)[jnp.array([0, 2])])

        return sum(jax.tree.leaves(jax.tree.map(one, params, fisher, anchors)))

    found, wanted = (
        jax.jit(jax.value_and_grad(f))(params) for f in (lambda p: ewc_loss(p, ewc), plain)
    )
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
    # Parameters that matter to no task are held by nothing.
    nothing = ewc_of(jax.tree.map(jnp.zeros_like, fisher), anchors, jnp.ones(3))
    assert float(ewc_loss(params, nothing)) == 0


def test_fisher_is_the_mean_square_by_image_times_its_probability(net):
    """Of 10 images in batches of 4, the last filled up: NumPy's, image by image."""
    rows = multihead.one_task(*blobs(0, 10), 1)
    model = multihead.init(net, jax.random.key(1))
    found = fisher_of(net, model, rows, jax.random.key(2), None, 4)["Dense_0"]
    x = (np.asarray(rows.images, np.float64).reshape(10, -1) / 255 - 0.5) / 0.25
    layer = {k: np.asarray(v, np.float64) for k, v in model.params["Dense_0"].items()}
    p = np.exp((x @ layer["kernel"] + layer["bias"])[:, 3:6])
    p /= p.sum(1, keepdims=True)
    wanted = {"kernel": np.zeros((36, 9)), "bias": np.zeros(9)}
    for i, label in enumerate(np.asarray(rows.labels)):
        slope = np.zeros(9)
        slope[3:6] = np.eye(3)[label] - p[i]
        wanted["kernel"] += p[i, label] * np.outer(x[i], slope) ** 2 / 10
        wanted["bias"] += p[i, label] * slope**2 / 10
    for name, one in wanted.items():
        np.testing.assert_allclose(found[name], one, rtol=1e-4, atol=1e-7)
