"""What the protocol says of what methods read is what the registry tells people."""

import dataclasses
import pickle
from pathlib import Path
from typing import get_args

import pytest
from conftest import HYPER, SPEC, TINY, Small

from uncle_jax.core import backbones
from uncle_jax.errors import UncleError
from uncle_jax.methods import protocol, registry
from uncle_jax.methods.hypernetwork.refit import Refit, refit
from uncle_jax.methods.uncle import uncle


def test_each_kind_of_reading_has_words():
    assert set(get_args(protocol.Reads)) == registry.READS.keys()


def test_a_past_holds_nothing_unless_it_is_given():
    assert protocol.Past() == (None, {})


def test_a_method_that_says_nothing_reads_nothing_and_promises_nothing():
    method = protocol.Method("m", *[lambda *_: None] * 4)  # type: ignore[list-item]
    assert (method.reads, method.settings, method.iterations) == ("none", None, None)
    assert (method.network, method.partial) == (None, None)


def test_a_method_is_pickled_by_what_made_it():
    """As process pools need it; the copy has the same network, so it compiles nothing new."""
    main_net = backbones.from_config(TINY, 3)  # of a module that every process has
    for make, settings in ((uncle, HYPER), (refit, Refit(trunk=(8, 16), chunks=7))):
        method = make(SPEC, 3, TINY, main_net, settings)
        copy = pickle.loads(pickle.dumps(method))
        assert copy.generator is method.generator
        assert (copy.name, copy.settings, copy.reads) == (method.name, settings, "none")
    derpp = registry.build("scrub", SPEC, 3, TINY, main_net=backbones.from_config(TINY, 9))
    assert pickle.loads(pickle.dumps(derpp)).name == "scrub"


def test_a_method_that_was_changed_says_so():
    method = uncle(SPEC, 3, TINY, Small(), HYPER)._replace(name="mine")
    with pytest.raises(pickle.PicklingError, match="mine was changed by _replace"):
        pickle.dumps(method)


def test_a_method_without_a_way_of_its_own_to_unlearn_a_class_says_so():
    own = dataclasses.replace(TINY, class_unlearning="own")
    with pytest.raises(UncleError, match=r"clpu has no way of its own .*class_unlearning=relearn"):
        registry.build("clpu", SPEC, 3, own, main_net=Small())
    for name in ("gkt", "rt", "derpp", "never-derpp"):
        with pytest.raises(UncleError, match=f"{name} has no way of its own"):
            registry.build(name, SPEC, 3, own, main_net=Small(9))
    for name in ("jit-hnet", "gkt-hnet", "rt-hnet"):  # the learner's would not be theirs
        with pytest.raises(UncleError, match=f"{name} has no way of its own"):
            registry.build(name, SPEC, 3, own, main_net=Small())
    for name in ("ssd", "salun", "scrub", "jit", "badteacher", "uniclun", "delete-head"):
        assert registry.build(name, SPEC, 3, own, main_net=Small(9)).unlearn_classes


def test_ones_own_method_is_found_again_by_its_name():
    own = Path(__file__).resolve().parents[2] / "experiments" / "own_method.py"
    method = registry.build(f"{own}:nearest_mean", SPEC, 3, TINY)
    copy = pickle.loads(pickle.dumps(method))
    assert copy.name == method.name
    assert copy.origin[:3] == method.origin[:3]
