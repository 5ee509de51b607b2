import pickle

import pytest

from uncle_jax.errors import UncleError, allowed


@pytest.mark.parametrize(
    "name", ["a\nb", "a\r\nb", "a\x0bb", "a\x85b", "a\N{LINE SEPARATOR}b", "\x1b[2J"]
)
def test_an_error_is_one_line_whatever_it_names(name):
    told = str(UncleError(f"no file {name}"))
    assert len(told.splitlines()) == 1
    assert told.isprintable()


def test_other_letters_stay_as_they_are():
    assert str(UncleError("café ± 日本")) == "café ± 日本"


def test_the_nearest_option_is_suggested_and_all_are_listed():
    told = str(allowed("method", "uncel", ["uncle", "ssd"]))
    assert told == "unknown method 'uncel'; did you mean 'uncle'? (allowed: uncle, ssd)"
    assert str(allowed("sequence", 4, [1, 2])) == "unknown sequence '4' (allowed: 1, 2)"


def test_it_is_handed_back_to_be_raised_and_a_value_error():
    assert isinstance(allowed("x", "y", []), UncleError)
    with pytest.raises(ValueError, match="unknown x 'y'"):
        raise allowed("x", "y", [])


def test_it_travels_between_processes():
    assert str(pickle.loads(pickle.dumps(UncleError("a\nb")))) == "a\\nb"
