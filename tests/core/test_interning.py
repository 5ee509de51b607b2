"""One object for equal arguments."""

import pytest

from uncle_jax.methods.multihead import network as multihead


def test_errors_of_a_build_are_its_own():
    built = multihead.interned(lambda number: 1 + number)
    assert built(2) == 3
    with pytest.raises(TypeError, match="unsupported operand"):
        built("2")
