"""What the protocol says of what methods read is what the registry tells people."""

from typing import get_args

from uncle_jax.methods import protocol, registry


def test_each_kind_of_reading_has_words():
    assert set(get_args(protocol.Reads)) == registry.READS.keys()


def test_a_past_holds_nothing_unless_it_is_given():
    assert protocol.Past() == (None, {})


def test_a_method_that_says_nothing_reads_nothing_and_promises_nothing():
    method = protocol.Method("m", *[lambda *_: None] * 4)  # type: ignore[list-item]
    assert (method.reads, method.settings, method.iterations) == ("none", None, None)
    assert (method.network, method.partial) == (None, None)
