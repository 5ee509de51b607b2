"""A request that would end in NaN or infinite numbers is not answered."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from conftest import HYPER, TINY, Small, same
from storing import ask, learner, load, new_store

from uncle_jax.engine.finite import Losses
from uncle_jax.engine.sequence import run_sequence
from uncle_jax.errors import UncleError
from uncle_jax.methods.uncle import uncle
from uncle_jax.requests import parse


def test_a_diverging_request_is_one_line_and_the_state_before_stays(spec, blob_benchmark):
    steps, answered = [], []
    method = uncle(spec, 4, dataclasses.replace(TINY, epochs=30, lr=1e30), Small(), HYPER)
    told = r"^L1 ends in a network that is not finite \(loss \w+ at step \d+ of 90\), so it is not"
    with pytest.raises(UncleError, match=told) as caught:
        run_sequence(
            method,
            blob_benchmark,
            parse("L1 U1"),
            jax.random.key(0),
            lambda *step: steps.append(step),
            lambda answer, state: answered.append(answer),
        )
    assert "try a smaller lr" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(steps) == 90  # whoever watches sees each
    assert answered == []


@pytest.mark.parametrize("op", ["L", "U"])
@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
def test_a_store_keeps_its_state(tmp_path, op, bad):
    def ruined(after):
        return after.replace(norm_stats=jax.tree.map(lambda a: a.at[3].set(bad), after.norm_stats))

    method = learner()
    wrong = method._replace(
        learn=lambda *args, **more: ruined(method.learn(*args, **more)),
        unlearn=lambda *args, **more: ruined(method.unlearn(*args, **more)),
    )
    with new_store(tmp_path / "store") as store:
        ask(store, "L0")
        before, entries = load(store), list(store.requests)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("storing.learner", lambda: wrong)
            with pytest.raises(UncleError, match="not finite"):
                ask(store, "L1" if op == "L" else "U0")
        assert same(load(store).phi, before.phi)
        assert list(store.requests) == entries
        assert ask(store, "L1")["accuracy"]["0"] > 50  # and goes on


def test_the_first_bad_loss_is_told():
    losses = Losses(None)
    assert losses.first_bad() == ""
    for step, loss in enumerate((1.0, 2.0, jnp.inf, jnp.nan), 1):
        losses(step, 9, jnp.float32(loss))
    assert losses.first_bad() == " (loss inf at step 3 of 9)"


def test_a_store_does_not_keep_an_accuracy_that_there_is_not(tmp_path):
    method = learner()

    def logits(state, task, images):
        return method.logits(state, task, images) * (jnp.nan if task == 0 else 1)

    with new_store(tmp_path / "store") as store, pytest.MonkeyPatch.context() as patch:
        ask(store, "L0")
        patch.setattr("storing.learner", lambda: method._replace(logits=logits))
        entry = ask(store, "L1")
    assert (list(entry["accuracy"]), entry["not_measured"]) == (["1"], [0])
