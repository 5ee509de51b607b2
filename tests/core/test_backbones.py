"""Main networks by name, and one's own from a file: checked, and told by their content."""

from pathlib import Path

import pytest
from conftest import TINY

from uncle_jax.config import replace
from uncle_jax.core import backbones
from uncle_jax.errors import UncleError

MIXER = f"{Path(__file__).parents[2] / 'experiments' / 'own_network.py'}:Mixer"

WRONG = """
import flax.linen as nn

def function(n_classes):
    return len

def two(n_classes):
    return Narrow(2)

def none():
    pass

class Narrow(nn.Module):
    n_classes: int

    @nn.compact
    def __call__(self, x, train):
        return nn.Dense(self.n_classes)(x.reshape(len(x), -1))
"""


def named(name):
    return replace(TINY, {"backbone": name})


def test_ones_own_is_called_with_the_number_of_classes():
    net = backbones.main_network(None, named(MIXER), (8, 8, 1), 7)
    assert (type(net).__name__, net.n_classes) == ("Mixer", 7)
    again = backbones.from_config(named(MIXER), 7)
    assert net == again  # so that steps are compiled once for both


def test_its_content_is_told_and_that_of_ours_is_not():
    told = backbones.source(named(MIXER))
    assert told is not None
    assert told["file"] == "own_network.py"
    assert len(told["sha256"]) == 64
    assert backbones.source(TINY) is None


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("function", "expected a flax.linen.Module"),
        ("two", r"gives \[B, 2\], expected logits \[B, 3\]"),
        ("none", r"cannot be made as none\(n_classes=3\)"),
    ],
)
def test_what_is_no_main_network_is_told_in_a_line(tmp_path, name, told):
    (tmp_path / "wrong.py").write_text(WRONG)
    with pytest.raises(UncleError, match=told):
        backbones.main_network(None, named(f"{tmp_path / 'wrong.py'}:{name}"), (8, 8, 1), 3)


def test_a_name_that_is_neither_ours_nor_has_the_form_is_refused_at_once():
    with pytest.raises(UncleError, match=r"unknown backbone 'resnet19'.*resnet18.*FILE.py:NAME"):
        named("resnet19")
