"""References: the same learner without a task, or with all."""

import dataclasses

import jax
import pytest
from auditing import SPEC
from conftest import HYPER, TINY, Heads, Small, blobs, same
from conftest import SPEC as IMAGES

from uncle_jax.config import Hypernetwork, part
from uncle_jax.methods import registry
from uncle_jax.requests import parse
from uncle_jax.runs.references import LEARNERS, Known, kept_of, learner_of, never_of, reference
from uncle_jax.runs.spec import RunSpec

UNCLE = RunSpec("permuted-digits", requests=parse("L0 L1 U0 L2 L0 U1"))


def test_the_requests_of_references():
    assert list(map(str, never_of(UNCLE))) == ["L0", "U0", "L2", "L0"]
    assert list(map(str, kept_of(UNCLE))) == ["L0", "L1", "L2"]
    of_classes = dataclasses.replace(UNCLE, requests=parse("L0 L1 U0:2 U1 L2-3 U2:0"))
    assert list(map(str, never_of(of_classes))) == ["L0-2", "L2-0+3"]
    assert list(map(str, kept_of(of_classes))) == ["L0", "L1", "L2-3"]


def test_what_learns_alike_shares_a_reference():
    asked = dataclasses.replace(UNCLE, requests=kept_of(UNCLE)).changed("trunk=8,9", "gamma=0.5")
    control = learner_of(asked)
    assert (control.method, control.settings.trunk) == ("never", (8, 9))
    assert type(control.settings) is Hypernetwork
    other = learner_of(
        dataclasses.replace(asked, method="hnet", settings=part(Hypernetwork, asked.settings))
    )
    assert other == control
    # where something is unlearned on the way, the method itself must do it; and so must refit
    assert learner_of(UNCLE) is UNCLE
    own = RunSpec("permuted-digits", "refit", requests=kept_of(UNCLE))
    assert learner_of(own) is own


def test_every_method_has_its_control_or_learns_in_its_own_way():
    assert set(registry.METHODS) - set(LEARNERS) == {"refit", "lwsf", "clpu", "pall"}
    assert set(LEARNERS) < set(registry.METHODS)


def is_key(leaf):
    return jax.dtypes.issubdtype(leaf.dtype, jax.dtypes.prng_key)


@pytest.mark.parametrize("method", LEARNERS)
def test_a_control_learns_bit_for_bit_as_the_methods_that_it_stands_for(method):
    """With its settings, which are a part of theirs."""
    control = LEARNERS[method]
    net = Small() if control == "never" else Heads()
    more = {"settings": HYPER} if method == "uncle" else {}
    if control == "never" and method != "uncle":
        usual = registry.settings_of(method, registry.find(method), {})
        shared = {f.name: getattr(HYPER, f.name) for f in dataclasses.fields(Hypernetwork)}
        more = {"settings": dataclasses.replace(usual, **shared)}
    theirs = {"settings": part(Hypernetwork, HYPER)} if control == "never" else {}
    made = registry.build(method, IMAGES, 4, TINY, main_net=net, **more)
    ours = registry.build(control, IMAGES, 4, TINY, main_net=net, **theirs)
    states = [m.learn(m.init(jax.random.key(0)), 1, blobs(0)) for m in (made, ours)]
    numbers = [[leaf for leaf in jax.tree.leaves(s) if not is_key(leaf)] for s in states]
    assert same(*numbers)


def test_a_reference_is_a_run_made_once(tmp_path):
    told = []
    spec = dataclasses.replace(SPEC, requests=parse("L0 L1 U0"))
    first = reference("never", spec, 3, tmp_path, lambda name, request: told.append(str(request)))
    assert told == ["None", "L1"]
    (folder,) = (p for p in tmp_path.iterdir() if p.is_dir())
    assert (folder / "seed3" / "metrics.csv").is_file()
    again = reference("never", spec, 3, tmp_path, lambda *_: told.append("again"))
    assert again.mark == first.mark
    assert "again" not in told
    reference("never", spec, 4, tmp_path)
    assert sorted(p.name for p in folder.glob("seed*")) == ["seed3", "seed4"]


def test_of_a_stream_that_keeps_nothing_the_reference_is_the_beginning(tmp_path):
    spec = dataclasses.replace(SPEC, requests=parse("L0 U0"))
    found = reference("never", spec, 3, tmp_path)
    assert int(found.state.status.max()) == 0
    assert [*tmp_path.iterdir()] == []


def test_what_is_known_is_kept_by_seed(tmp_path):
    known = Known(tmp_path / "shared", 1)
    assert known.get("a") is None
    with known.alone():
        known.put("a", {"accuracy": [1]})
        known.put("b", {"accuracy": [2]})
    assert Known(tmp_path / "shared", 1).get("a") == {"accuracy": [1]}
    assert Known(tmp_path / "shared", 2).get("a") is None
