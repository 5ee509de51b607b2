import sys

import jax
import jax.numpy as jnp
import pytest
from conftest import HYPER, SPEC, TINY, Given

from uncle_jax.core import backbones, resnet
from uncle_jax.core.inputs import input_shape
from uncle_jax.core.state import CLState
from uncle_jax.errors import UncleError
from uncle_jax.methods import registry
from uncle_jax.methods.registry import METHODS, READS, build, check, find, settings_of, short

OWN = """
from dataclasses import dataclass
@dataclass(frozen=True)
class Mine:
    strength: float = 1.0
def mine(spec, n_tasks, config=None, main_net=None, settings=Mine()):
    return n_tasks, settings
"""


def tiny(name):
    """The method called `name`, at the tests' size."""
    return build(name, SPEC, 4, TINY, settings_of(name, find(name), {}, HYPER))


FIELDS = {"forget", "forget+retain", "latest", "all retained data", "none"}


@pytest.mark.parametrize("name", METHODS)
def test_every_method_has_its_name_and_declares_what_it_reads(name):
    method = tiny(name)
    assert method.name == name
    assert method.reads in READS
    assert settings_of(name, find(name), {}, HYPER) == method.settings
    assert build(name, SPEC, 4, TINY).settings == settings_of(name, find(name), {})


@pytest.mark.parametrize("name", METHODS)
def test_no_methods_network_is_smaller_than_uncles(name):
    net = backbones.from_config(TINY, SPEC.n_classes)
    main = resnet.plan(net, input_shape(SPEC, TINY.image_size), HYPER.chunks)[0].size
    state, uncle = (jax.eval_shape(tiny(n).init, jax.random.key(0)) for n in (name, "uncle"))
    if isinstance(state, CLState):  # its networks are generated as UnCLe's, from as large a phi
        assert jax.tree.map(jnp.shape, state.phi) == jax.tree.map(jnp.shape, uncle.phi)
    else:
        size = sum(a.size for a in jax.tree.leaves(state.params))
        assert size >= main * (4 if name == "clpu" else 1)


def test_a_function_in_a_file_is_a_method(tmp_path):
    file = tmp_path / "study.py"
    file.write_text(OWN)
    name = f"{file}:mine"
    check(name)
    settings = settings_of(name, find(name), {"strength": "2.5"})
    assert settings.strength == 2.5
    assert build(name, SPEC, 3, TINY, settings) == (3, settings)
    assert short(name) == "mine"
    with pytest.raises(UncleError, match="unknown setting of mine 'strenght'; did you mean"):
        settings_of(name, find(name), {"strenght": "1"})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("salum", "did you mean 'salun'"),
        ("nowhere.py:mine", "there is no file nowhere.py"),
        ("nowhere.at_all:mine", "cannot import nowhere.at_all"),
        ("json:nothing", "json has no function nothing"),
        ("json:1x", "is not FILE.py:NAME"),
    ],
)
def test_what_is_no_method_is_refused_in_one_line(name, message):
    with pytest.raises(UncleError, match=message) as caught:
        find(name)
    assert "\n" not in str(caught.value)


def test_a_method_without_settings_says_so():
    with pytest.raises(UncleError, match="clpu has no settings of its own, so no lr"):
        settings_of("clpu", find("clpu"), {"lr": "1"})


def test_an_installed_package_can_name_its_method(monkeypatch):
    from importlib.metadata import EntryPoint, EntryPoints

    points = EntryPoints([EntryPoint("theirs", "json:loads", registry.GROUP)])
    monkeypatch.setattr(registry, "entry_points", lambda group: points.select(group=group))
    assert find("theirs") is sys.modules["json"].loads


@pytest.mark.parametrize("name", METHODS)
def test_every_method_hands_out_a_network_that_is_ready_to_apply(name):
    method = tiny(name)
    state = jax.eval_shape(method.init, jax.random.key(0))
    theta, stats = jax.eval_shape(lambda s: method.network(s, 1), state)
    outputs = theta["Dense_0"]["kernel"].shape[-1]
    assert outputs in (SPEC.n_classes, 4 * SPEC.n_classes)  # or with a head per task
    module, shape = method.main
    assert module == backbones.from_config(TINY, outputs)
    x = jax.ShapeDtypeStruct((2, *shape), jnp.float32)
    net = Given(module, TINY)
    logits, _ = jax.eval_shape(lambda t, s, x: resnet.apply(net, t, s, x, False), theta, stats, x)
    assert logits.shape == (2, outputs)
    with pytest.raises(UncleError, match="unknown task 4"):
        method.network(state, 4)


def test_ones_own_code_is_known_by_content(tmp_path):
    assert registry.source("uncle") is None
    path = tmp_path / "own.py"
    path.write_text("def mine(spec, n_tasks, config=None, main_net=None): ...\n")
    first = registry.source(f"{path}:mine")
    assert first
    assert first["file"] == "own.py"
    assert registry.source(f"{path}:mine") == first
    path.write_text("def mine(spec, n_tasks, config=None, main_net=None): return 1\n")
    other = registry.source(f"{path}:mine")
    assert other
    assert other["sha256"] != first["sha256"]
    of_package = registry.source("uncle_jax.methods.uncle:uncle")
    assert of_package
    assert of_package["file"] == "uncle.py"
