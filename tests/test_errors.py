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


def test_the_nearest_is_told():
    assert str(allowed("colour", "rad", ("red", "blue"))) == (
        "unknown colour 'rad'; did you mean 'red'? (allowed: red, blue)"
    )
    assert "did you mean" not in str(allowed("colour", 7, ("red",)))


def test_it_travels_between_processes():
    assert str(pickle.loads(pickle.dumps(UncleError("a\nb")))) == "a\\nb"
