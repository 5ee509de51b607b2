from uncle_jax.cli.settings import choices, comments, values
from uncle_jax.config import Config
from uncle_jax.methods import registry


def test_types_in_words():
    assert values(int | None) == "INT|none"
    assert values(tuple[int, ...]) == "INT,INT,..."
    assert values(bool) == "{true,false}"
    assert choices(bool) == ("true", "false")
    assert choices(float) == ()


def test_comments_are_those_of_bases_too():
    told = comments(registry.settings_of("scrub", registry.find("scrub"), {}).__class__)
    assert told["buffer_per_task"].startswith("samples; ")  # Derpp's
    assert told["momentum"] == "of sgd (authors' code)"
    assert comments(Config)["width"] == "channels of the first stage"
