import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import SPEC, TINY, Heads, Small

from uncle_jax.errors import UncleError
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.network import ABSENT, Rows
from uncle_jax.tasks import InputSpec, TaskSpec


@pytest.fixture(scope="module")
def net():
    return multihead.multihead(SPEC, 4, TINY, Heads())


def test_each_sample_is_answered_by_its_own_head(net):
    outputs = jnp.arange(24.0).reshape(2, 12)
    found = multihead.pick(net, outputs, jnp.array([2, 0]))
    np.testing.assert_array_equal(found, [[6, 7, 8], [12, 13, 14]])


def test_classes_that_a_task_lacks_are_absent_and_finite():
    tasks = (TaskSpec(3, (0.5,), (0.5,)), TaskSpec(2, (0.0,), (1.0,)))
    net = multihead.multihead(InputSpec((6, 6, 1), 3, (0.5,), (0.5,), tasks), 2, TINY, Small(6))
    found = multihead.pick(net, jnp.zeros((2, 6)), jnp.array([0, 1]))
    np.testing.assert_array_equal(found, [[0, 0, 0], [0, 0, ABSENT]])
    images = np.full((2, 6, 6, 1), 255, np.uint8)
    x = multihead.normalise(net, jnp.asarray(images), jnp.array([0, 1]))
    np.testing.assert_allclose(x[:, 0, 0, 0], [1.0, 1.0])  # (1 - 0.5) / 0.5 and (1 - 0) / 1


def test_a_head_is_its_columns_of_kernel_and_bias(net):
    params = multihead.init(net, jax.random.key(0)).params
    mask = multihead.head_mask(net, params, 2)
    assert mask["Dense_1"]["kernel"].sum() == 10 * 3
    np.testing.assert_array_equal(np.flatnonzero(mask["Dense_1"]["bias"]), [6, 7, 8])
    assert not any(leaf.any() for leaf in jax.tree.leaves(mask["Dense_0"]))
    redrawn = multihead.redraw_head(net, params, 2, jax.random.key(1))
    changed = jax.tree.map(lambda a, b: np.asarray(a != b), params, redrawn)
    assert np.all(changed["Dense_1"]["kernel"] == mask["Dense_1"]["kernel"])
    assert not changed["Dense_0"]["kernel"].any()


def test_heads_that_cannot_be_told_apart_are_refused():
    net = multihead.multihead(SPEC, 4, TINY, Small(12))  # its hidden layer is as wide
    with pytest.raises(UncleError, match="has 2 dense layers with 12 outputs"):
        multihead.head_mask(net, multihead.init(net, jax.random.key(0)).params, 0)


def test_evaluation_leaves_statistics_and_ignores_the_batch(net):
    params, stats = multihead.init(net, jax.random.key(0))
    images = jnp.asarray(np.random.RandomState(0).randint(0, 255, (6, 6, 6, 1), np.uint8))
    tasks = jnp.arange(6) % 4
    whole, after = multihead.forward(net, params, stats, images, tasks, train=False)
    part, _ = multihead.forward(net, params, stats, images[:2], tasks[:2], train=False)
    np.testing.assert_allclose(part, whole[:2], rtol=1e-5)
    jax.tree.map(np.testing.assert_array_equal, after, stats)
    _, moved = multihead.forward(net, params, stats, images, tasks, train=True)
    assert np.any(moved["BatchNorm_0"]["mean"] != stats["BatchNorm_0"]["mean"])


def test_rows_of_bytes_and_floats_are_joined_in_floats():
    one = Rows(np.full((1, 2, 2, 1), 255, np.uint8), np.array([1]), np.array([0]))
    other = Rows(np.full((2, 2, 2, 1), 0.5, np.float32), np.array([0, 2]), np.array([3, 3]))
    both = multihead.join(one, other)
    np.testing.assert_allclose(both.images[:, 0, 0, 0], [1.0, 0.5, 0.5])
    np.testing.assert_array_equal(both.tasks, [0, 3, 3])
    assert multihead.join(one, one).images.dtype == jnp.uint8
