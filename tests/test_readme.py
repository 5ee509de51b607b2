"""The README's examples run as they stand, and name what exists."""

import re
from pathlib import Path

import jax
import pytest

import uncle_jax

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
BASES = (".", "uncle_jax")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.fixture
def optimised():
    """XLA's optimisations back on (conftest turns them off): the examples train."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split("\n")[-2][:30])
def test_examples_run(example, capsys, optimised):
    scope: dict = {}
    exec(compile(example, "README.md", "exec"), scope)
    assert capsys.readouterr().out
    state = scope.get("state") or scope["run"].state
    assert uncle_jax.describe(state)["unlearned"]


def test_files_named_in_the_picture_exist():
    picture = README.split("## Where things are")[1]
    root = Path(__file__).resolve().parents[1]
    names = set(re.findall(r"[a-z_/]+\.py", picture))
    assert len(names) > 10
    for name in names:
        assert any((root / base / name).is_file() for base in BASES), name


def test_every_public_name_can_be_imported():
    for name in uncle_jax.__all__:
        assert getattr(uncle_jax, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = uncle_jax.nothing_like_it
