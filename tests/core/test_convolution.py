"""Convolutions as products against XLA's."""

import contextlib
from functools import partial

import flax.linen as nn
import jax
import numpy as np
import pytest
from conftest import Given, assert_trees_close

from uncle_jax.config import Config
from uncle_jax.core import convolution, resnet
from uncle_jax.core.resnet import ResNet

SHAPE = (9, 8, 3)


def both(module: nn.Module, shape=SHAPE, within=convolution.as_products):
    """(values and gradients by XLA, by products, whether a product was taken)."""
    x = np.random.RandomState(0).normal(size=(4, *shape)).astype(np.float32)
    variables = jax.jit(module.init)(jax.random.key(0), x)

    def loss(variables, x):
        out = module.apply(variables, x)
        return (out**2).sum(), out

    def traced():  # anew: what was traced before is kept, whatever is intercepted now
        return jax.jit(
            lambda *given: jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(*given)
        ).trace(variables, x)

    plain = traced()
    with within():
        products = traced()
    found = [one.lower().compile()(variables, x) for one in (plain, products)]
    return *found, "conv_general_dilated" not in str(products.jaxpr)


@pytest.mark.parametrize(
    ("size", "strides", "padding"),
    [
        (1, 1, "VALID"),
        (1, 2, "SAME"),
        (3, 1, 1),
        (3, 2, 1),
        (4, (1, 2), "SAME"),
        (3, (2, 1), ((0, 2), (1, 0))),
    ],
)
def test_a_product_is_the_convolution(size, strides, padding):
    plain, products, taken = both(nn.Conv(5, (size, size), strides, padding))
    assert taken
    assert_trees_close(plain, products, rtol=1e-5)


@pytest.mark.parametrize("odd", [{"kernel_dilation": 2}, {"feature_group_count": 3}])
def test_what_is_no_plain_convolution_is_xlas(odd):
    plain, products, taken = both(nn.Conv(6, (3, 3), **odd))
    assert not taken
    jax.tree.map(np.testing.assert_array_equal, plain, products)


def test_a_convolution_over_one_axis_is_xlas():
    plain, products, taken = both(nn.Conv(6, (3,)), (9, 3))
    assert not taken
    jax.tree.map(np.testing.assert_array_equal, plain, products)


@pytest.mark.parametrize(
    ("size", "strides", "padding", "small"),
    [
        (3, 2, 1, False),  # 5 x 4 out
        (3, 3, 1, True),  # 3 x 3
        (5, 1, "VALID", False),  # 5 x 4
        (6, 1, "VALID", True),  # 4 x 3
        (3, (3, 2), "SAME", True),  # 3 x 4
    ],
)
def test_what_is_suited_is_a_product_where_the_output_is_small(size, strides, padding, small):
    module = nn.Conv(5, (size, size), strides, padding)
    plain, suited, taken = both(module, within=convolution.as_suited)
    assert taken == (small and jax.default_backend() == "cpu")
    assert_trees_close(plain, suited, rtol=1e-5)


def test_elsewhere_and_for_odd_convolutions_xla_is_suited(monkeypatch):
    for odd in ({"kernel_dilation": 2}, {"feature_group_count": 3}):
        assert not both(nn.Conv(6, (3, 3), 4, **odd), within=convolution.as_suited)[2]
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert not both(nn.Conv(5, (3, 3), 3), within=convolution.as_suited)[2]


def test_in_loops_all_are_products_whatever_is_suited():
    @contextlib.contextmanager
    def within(first, second):
        with first(), second():
            yield

    contexts = (convolution.as_products, convolution.as_suited)
    for order in (contexts, contexts[::-1]):
        assert both(nn.Conv(5, (3, 3)), within=partial(within, *order))[2]


def test_a_resnet_of_products_has_no_convolution_left():
    module = ResNet((1, 1), resnet.Block, 3, 4, "small")
    net = Given(module, Config())
    _, stats = resnet.plan(module, (6, 6, 1), 1)
    theta = jax.eval_shape(
        lambda: module.init(jax.random.key(0), np.zeros((1, 6, 6, 1)), train=False)
    )["params"]
    x = jax.ShapeDtypeStruct((2, 6, 6, 1), np.float32)

    def program():
        apply = jax.jit(lambda *given: resnet.apply(net, given[0], stats, given[1], train=True))
        return str(apply.trace(theta, x).jaxpr)

    assert "conv_general_dilated" in program()
    with convolution.as_products():
        assert "conv_general_dilated" not in program()
