"""The publishers' data sets."""

import pytest

from uncle_jax.data.publishers import catalogue as sources
from uncle_jax.data.publishers.catalogue import SOURCES
from uncle_jax.errors import UncleError


def test_every_source_is_known_by_its_name_and_others_are_not():
    assert {sources.source(name).name for name in SOURCES} == set(SOURCES)
    for source in SOURCES.values():
        assert len(source.mean) == len(source.std) == source.image_shape[-1]
        urls = [(a.url, a) for archives, _ in source.variants for a in archives]
        assert all(url.startswith("http") for url, _ in urls)
        assert all(url.endswith(a.name) or "/" in a.name for url, a in urls)  # or extracted
    with pytest.raises(UncleError, match="unknown data set 'minst'; did you mean 'mnist'"):
        sources.source("minst")
