"""Representation: what layers still tell, whatever the head says."""

import dataclasses

import jax
import numpy as np
import pytest
from conftest import HYPER, SPEC, TINY, Heads, Small, blobs

from uncle_jax.errors import UncleError
from uncle_jax.evaluation.accuracy import evaluate
from uncle_jax.evaluation.audit.representation import (
    Representation,
    cka,
    features,
    measure,
    probe,
    some,
)
from uncle_jax.evaluation.audit.target import Target
from uncle_jax.methods.multihead.controls import delete_head
from uncle_jax.methods.uncle import uncle

TARGET = Target(0, blobs(0, 96), blobs(1, 64), SPEC)
LONGER = dataclasses.replace(TINY, epochs=20)


def test_features_are_the_layers_outputs_in_their_order():
    method = uncle(SPEC, 2, TINY, None, HYPER)
    state = method.init(jax.random.key(0))
    found = features(method, state, TARGET, some(TARGET.test, 10))
    names = list(found)
    assert names[0].startswith("Conv")
    assert [name for name in names if name.startswith("Block")] == ["Block_0", "Block_1", "Block_2"]
    assert names[-1] == "Block_2"  # the classifier is not among them
    assert found["Block_2"].shape == (10, 16)  # means over positions, of four times the width
    assert len(some(TARGET.test, 10).labels) == 10


def test_a_method_that_tells_no_network_has_no_layers():
    method = uncle(SPEC, 2, TINY, Small(), HYPER)._replace(main=None)
    with pytest.raises(UncleError, match="does not tell its network"):
        features(method, method.init(jax.random.key(0)), TARGET, TARGET.test)


def test_a_probe_reads_what_is_there_and_nothing_else():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 200)
    clear = np.eye(3)[labels] + 0.1 * rng.normal(size=(200, 3))
    noise = rng.normal(size=(200, 3))
    assert probe(clear[:100], labels[:100], clear[100:], labels[100:]) == 100
    assert probe(noise[:100], labels[:100], noise[100:], labels[100:]) < 55
    assert np.isnan(probe(clear[:100] * np.nan, labels[:100], clear[100:], labels[100:]))


def test_cka_is_1_for_what_is_turned_and_scaled_and_0_for_a_constant():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(50, 4))
    turn, _ = np.linalg.qr(rng.normal(size=(4, 4)))
    assert cka(a, 3 * a @ turn + 5) == pytest.approx(1)
    assert cka(a, rng.normal(size=(50, 4))) < 0.3
    assert cka(a, np.ones((50, 2))) == 0


def test_a_zeroed_head_hides_nothing():
    method = delete_head(SPEC, 4, LONGER, Heads())
    fresh = method.init(jax.random.key(0))
    kept = method.learn(fresh, 0, TARGET.train)
    gone = method.unlearn(kept, 0)
    assert evaluate(method, gone, 0, TARGET.test) < 60
    others = {"never": (method, fresh), "kept": (method, kept)}
    told = measure(method, gone, TARGET, others, Representation())
    before = measure(method, kept, TARGET, others, Representation())
    assert told == before  # every feature is as it was
    assert told["cka kept"] == pytest.approx([1.0] * len(told["layers"]))
    assert told["probe"][-1] > 85
    assert told["cka never"][-1] < 1
