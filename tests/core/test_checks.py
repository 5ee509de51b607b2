"""A main network of one's own is checked when a method is made; so is what training left."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import HYPER, SPEC, TINY, Heads, Linear, Small

from uncle_jax.core import checks
from uncle_jax.errors import UncleError
from uncle_jax.methods.clpu import clpu
from uncle_jax.methods.multihead.derpp import derpp
from uncle_jax.methods.uncle import uncle


def net(body, **fields):
    """An instance of a module called Net, whose __call__ is `body`."""
    return type("Net", (nn.Module,), {"__call__": nn.compact(body), **fields})()


def flat(x):
    return x.reshape(len(x), -1)


def dropout(self, x, train):
    return nn.Dense(3)(nn.Dropout(0.5, deterministic=not train)(flat(x)))


def without_train(self, x):
    return nn.Dense(3)(flat(x))


def two_outputs(self, x, train):
    return nn.Dense(3)(flat(x)), x


def counting(self, x, train):
    self.variable("counts", "calls", lambda: jnp.zeros(()))
    return nn.Dense(3)(flat(x))


def too_deep(self, x, train):
    return nn.Dense(3)(flat(x).reshape(len(x), 7, -1))


def nothing(self, x, train):
    return flat(x)[:, :3]


def drawing(self, x, train):
    return nn.Dense(3)(flat(x)) + jax.random.normal(self.make_rng("noise"), (3,))


@pytest.mark.parametrize(
    ("main_net", "told"),
    [
        (Small, r"main_net is the class Small, expected Small\(\)"),
        (lambda x, train: x, "main_net is a function, expected a flax.linen.Module"),
        (net(without_train), r"called as net\(x, train=True or False\), but takes x$"),
        (net(dropout), "draws random numbers .Dropout, or the like., and gets no key"),
        (net(drawing), "draws random numbers"),
        (net(two_outputs), r"gives a tuple, expected logits \[B, 3\]"),
        (Linear(6), r"Linear gives \[B, 6\], expected logits \[B, 3\]"),
        (net(counting), "has variables of kind counts"),
        (net(too_deep), r"cannot take images \[6, 6, 1\] \(TypeError"),
        (net(nothing), "has no parameters"),
    ],
)
def test_what_is_no_main_network_is_one_line(main_net, told):
    with pytest.raises(UncleError, match=told) as caught:
        uncle(SPEC, 2, TINY, main_net, HYPER)
    assert "\n" not in str(caught.value)


def test_methods_say_how_many_outputs_they_need():
    with pytest.raises(UncleError, match=r"expected logits \[B, 12\]"):
        derpp(SPEC, 4, TINY, Small())
    with pytest.raises(UncleError, match=r"expected logits \[B, 3\]"):
        clpu(SPEC, 4, TINY, Heads())


@pytest.mark.parametrize("main_net", [Small(), Small(normed=False), Linear(3)])
def test_main_networks_pass(main_net):
    checks.main_network(main_net, SPEC.image_shape, 3)


def test_finite():
    assert checks.finite({})
    assert checks.finite({"a": jnp.ones(3), "key": jax.random.key(0), "n": np.arange(2)})
    for bad in (jnp.nan, jnp.inf, -jnp.inf):
        assert not checks.finite({"a": jnp.ones(3), "b": (jnp.zeros((2, 2)).at[1, 0].set(bad),)})
        assert not checks.finite(np.float32(bad))
