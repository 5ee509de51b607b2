import pytest

from uncle_jax.errors import UncleError, allowed


def test_the_nearest_option_is_suggested_and_all_are_listed():
    told = str(allowed("method", "uncel", ["uncle", "ssd"]))
    assert told == "unknown method 'uncel'; did you mean 'uncle'? (allowed: uncle, ssd)"
    assert str(allowed("sequence", 4, [1, 2])) == "unknown sequence '4' (allowed: 1, 2)"


def test_it_is_handed_back_to_be_raised_and_a_value_error():
    assert isinstance(allowed("x", "y", []), UncleError)
    with pytest.raises(ValueError, match="unknown x 'y'"):
        raise allowed("x", "y", [])
