"""The policy: what a device's rounded products would do to H, and that it does not reach it.

TF32 is emulated: every product that asks for no more than the device's default has its inputs
rounded to 10 bits, as a GPU of the last years does it.
"""

import dataclasses
import functools

import jax
import jax.flatten_util
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import HYPER, SPEC, TINY, Given
from jax.extend import core as jex

from uncle_jax.core import (
    backbones,
    holding,
    hypernet,
    objectives,
    precision,
    refit,
    resnet,
    steps,
)
from uncle_jax.core.inputs import task_input
from uncle_jax.core.network import network
from uncle_jax.core.status import LEARNED
from uncle_jax.tasks import Data

PRODUCTS = ("dot_general", "conv_general_dilated")
BITS = 10  # of a TF32 input's mantissa


def inner(equation):
    """The programs within one equation, by the name of the parameter that holds them."""
    return [p for p in equation.params.values() if hasattr(p, "eqns") or hasattr(p, "jaxpr")]


def products(jaxpr):
    """Every product of a program, those in programs within it included."""
    jaxpr = getattr(jaxpr, "jaxpr", jaxpr)
    for equation in jaxpr.eqns:
        if equation.primitive.name in PRODUCTS:
            yield equation
        for one in inner(equation):
            yield from products(one)


def full(equation):
    """Whether a product is taken in full float32."""
    asked = equation.params["precision"]
    return asked is not None and set(asked) == {jax.lax.Precision.HIGHEST}


def rounded(closed, *args):
    """A ClosedJaxpr's values, its products' inputs rounded unless they ask for full float32."""
    known = dict(zip(closed.jaxpr.constvars, closed.consts, strict=True))
    known |= dict(zip(closed.jaxpr.invars, args, strict=True))
    for one in closed.jaxpr.eqns:
        given = [v.val if isinstance(v, jex.Literal) else known[v] for v in one.invars]
        if one.primitive.name in PRODUCTS and not full(one):
            given = [jax.lax.reduce_precision(x, 8, BITS) for x in given]
        within = inner(one)
        if within:
            assert one.primitive.name in ("jit", "pjit", "custom_jvp_call", "custom_vjp_call")
            out = rounded(within[0], *given)
        else:
            out = one.primitive.bind(*given, **one.params)
            out = out if one.primitive.multiple_results else [out]
        known |= dict(zip(one.outvars, out, strict=True))
    return [v.val if isinstance(v, jex.Literal) else known[v] for v in closed.jaxpr.outvars]


def heads_gradient(layout, form, star, move, task_emb, chunk_emb):
    """The heads' gradient of L_reg, one row, where phi has moved from phi* by `move`."""
    weight = jnp.full(len(task_emb), 1 / len(task_emb))
    anchor = objectives.drift_anchor(star, task_emb, chunk_emb, weight, layout, form)
    phi = jax.tree.map(jnp.add, star, move)

    def value(heads):
        moved = phi._replace(heads=heads)
        return objectives.drift(moved, anchor, task_emb, chunk_emb, layout)

    return jax.flatten_util.ravel_pytree(jax.grad(value)(phi.heads))[0]


def error(layout, form, distance):
    """The relative error of the emulated device's gradient against float64's."""
    keys = jax.random.split(jax.random.key(0), 4)
    task_emb = jax.random.normal(keys[0], (3, 8))
    chunk_emb = jax.random.normal(keys[1], (layout.chunks, 8))
    star = hypernet.init(keys[2], layout, task_emb, chunk_emb, (32, 64))
    leaves, tree = jax.tree.flatten(star)
    each = jax.random.split(keys[3], len(leaves))
    by = [
        distance * a.std() * jax.random.normal(k, a.shape)
        for k, a in zip(each, leaves, strict=True)
    ]
    given = jax.tree.map(np.asarray, (star, jax.tree.unflatten(tree, by), task_emb, chunk_emb))
    gradient = functools.partial(heads_gradient, layout, form)
    program = jax.make_jaxpr(gradient)(*given)
    found = np.asarray(jax.jit(functools.partial(rounded, program))(*jax.tree.leaves(given))[0])
    with jax.enable_x64(True):
        true = np.asarray(jax.jit(gradient)(*jax.tree.map(np.float64, given)))
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


@pytest.mark.parametrize("form", ["exact", "direct"])
def test_the_policy_is_what_keeps_the_drift_from_noise(tiny_layout, form, monkeypatch):
    assert error(tiny_layout, form, 1e-3) < 3e-3
    monkeypatch.setattr(precision, "FULL", None)
    assert error(tiny_layout, form, 1e-3) > 0.05


def net_of(**changes):
    config = dataclasses.replace(TINY, **changes)
    return network(backbones.from_config(config, SPEC.n_classes), (6, 6, 1), config, HYPER)


def programs(net):
    """({name: program} of all that has to do with H, the one that has not) of both requests."""
    state = steps.init(net, 3, jax.random.key(0))
    state = dataclasses.replace(state, status=state.status.at[:2].set(LEARNED))
    at = state.phi, state.task_emb[0], state.chunk_emb
    settings = dataclasses.replace(HYPER, fresh_noise=1.0, adversary_noise=1.0)
    carry, forgotten = steps.start_unlearning(net, settings, state, 0, jax.random.key(1))
    held = holding.hold(net, state)
    out, _, force = holding.forward(net, *at, held, np.float32(1))
    batch = Data(np.zeros((4, 6, 6, 1), np.uint8), np.zeros(4, np.int32))
    task, key = task_input(SPEC, 0, (6, 6, 1)), jax.random.key(2)
    of_h = {
        "init": steps.init.jitted.trace(net, 3, key),
        "theta": steps.theta.jitted.trace(net, *at),
        "start": steps.start_unlearning.jitted.trace(net, settings, state, 0, key),
        "forward": holding.forward.jitted.trace(net, *at, held, np.float32(1)),
        "backward": holding.backward.jitted.trace(net, *at, held, out, force),
        "elsewhere": steps._align_elsewhere.jitted.trace(
            net, settings, carry.phi, carry.adversaries, forgotten, key
        ),
    }
    fitted = refit.start(state.phi, state.task_emb, state.chunk_emb)
    to = refit.Networks({k: jnp.zeros((3, *o.shape)) for k, o in out.items()}, jnp.ones(3) / 3)
    of_h["refit"] = refit.step.jitted.trace(net, fitted, to, np.float32(1))
    of_h["solve"] = refit.solve.jitted.trace(net, fitted, to)
    fit = steps._fit.jitted.trace(net, out, net.fresh, task, batch)
    return {name: one.jaxpr for name, one in of_h.items()}, fit.jaxpr


@pytest.mark.parametrize("form", ["exact", "direct"])
def test_every_product_of_h_is_full_and_none_of_the_main_network(form):
    net = net_of()
    hyper = dataclasses.replace(net.hyper, drift=form)
    of_h, fit = programs(network(net.module, net.shape, net.config, hyper))
    for name, program in of_h.items():
        found = list(products(program))
        assert found, name
        assert all(map(full, found)), name
    assert not any(map(full, products(fit)))


def test_bfloat16_is_the_main_networks_alone():
    net = net_of(precision="bfloat16")
    of_h, fit = programs(net)
    for program in of_h.values():
        assert "bf16" not in str(program)
    convolutions = [e for e in products(fit) if e.primitive.name == "conv_general_dilated"]
    assert convolutions
    assert {v.aval.dtype for e in convolutions for v in e.invars} == {jnp.dtype("bfloat16")}
    # Loss, the outputs' gradients and the norm statistics.
    assert {v.aval.dtype for v in fit.jaxpr.outvars} == {np.dtype("float32")}


def test_bfloat16_answers_like_float32_in_float32():
    net = net_of()
    state = steps.init(net, 1, jax.random.key(0))
    theta = steps.theta(net, state.phi, state.task_emb[0], state.chunk_emb)
    x = np.random.RandomState(0).normal(size=(8, 6, 6, 1)).astype(np.float32)
    for train in (True, False):
        logits, stats = {}, {}
        for name in ("float32", "bfloat16"):
            config = dataclasses.replace(net.config, precision=name)
            given = Given(net.module, config)
            logits[name], stats[name] = resnet.apply(given, theta, net.fresh, x, train)
            found = logits[name], stats[name]
            assert {a.dtype for a in jax.tree.leaves(found)} == {np.dtype("float32")}
        difference = np.abs(logits["float32"] - logits["bfloat16"]).max()
        assert 0 < difference < 0.05 * np.abs(logits["float32"]).max()
