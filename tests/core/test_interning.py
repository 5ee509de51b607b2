"""One object for equal arguments."""

import pytest

from uncle_jax.core.interning import interned


@interned
def listed(*args, **kwargs):
    """Its arguments, in an object of its own."""
    return [args, kwargs]


def test_equal_arguments_give_the_same_object_and_others_another():
    assert listed(1, a=(2,)) is listed(1, a=(2,))
    assert listed(1) is not listed(2)
    assert listed.__doc__ == "Its arguments, in an object of its own."


def test_what_cannot_be_hashed_is_built_anew():
    one, other = listed([1]), listed([1])
    assert one == other
    assert one is not other


def test_errors_of_a_build_are_its_own():
    built = interned(lambda number: 1 + number)
    assert built(2) == 3
    with pytest.raises(TypeError, match="unsupported operand"):
        built("2")
