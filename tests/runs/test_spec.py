"""An experiment as an object."""

import dataclasses
import re
import subprocess
import sys

import pytest

from uncle_jax.config import Config, as_dict
from uncle_jax.errors import UncleError
from uncle_jax.presets import preset
from uncle_jax.requests import parse, table_4
from uncle_jax.runs.spec import OWN, RunSpec, own_fields, set_changes, setting, spec_of


def test_what_is_not_given_is_the_presets():
    spec = RunSpec("cifar100", "uncle")
    paper = preset("cifar100", "paper")
    assert (spec.preset, spec.config, spec.settings) == ("paper", paper.config, paper.uncle)
    assert (spec.requests, spec.seq, spec.changes) == (table_4("cifar100", 1), 1, {})
    assert RunSpec().dataset == "permuted-digits"
    assert RunSpec("folder:images").requests == ()
    assert hash(spec) == hash(RunSpec("cifar100"))


def test_changed_settings_name_the_run():
    spec = RunSpec(method="ssd").changed("lr=0.25", "alpha=3", "ssd.buffer_per_task=9")
    assert spec.changes == {"lr": 0.25, "alpha": 3.0, "buffer_per_task": 9}
    assert spec.label == "ssd lr=0.25 buffer_per_task=9 alpha=3.0"
    assert spec.name == "permuted-digits-seq1-ssd-lr=0.25-buffer_per_task=9-alpha=3.0"
    assert RunSpec(method="clpu").changed("width=4").name == "permuted-digits-seq1-clpu-width=4"
    many = spec.changed("width=4")
    assert re.fullmatch(r"permuted-digits-seq1-ssd-changed-[0-9a-f]{6}", many.name)


def test_requests_of_ones_own_and_of_table_4():
    own = dataclasses.replace(RunSpec(), requests=parse("L0 U0"))
    assert (own.seq, own.name) == (None, "permuted-digits-own-uncle")
    third = dataclasses.replace(own, requests=table_4("permuted-digits", 3))
    assert (third.seq, third.name) == (3, "permuted-digits-seq3-uncle")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"dataset": "cifar10"}, "did you mean 'cifar100'"),
        ({"method": "ucle"}, "did you mean 'uncle'"),
        ({"preset": "desktop"}, "allowed: laptop"),
        ({"seeds": ()}, "--seeds must differ"),
        ({"seeds": (1, -1)}, "must be from 0 to 4294967295, not -1"),
    ],
)
def test_what_there_is_not_is_refused(wrong, told):
    with pytest.raises(UncleError, match=told):
        RunSpec(**wrong)
    with pytest.raises(UncleError, match="clpu has no settings of its own"):
        RunSpec(method="clpu").changed("clpu.k=1")


def test_the_settings_that_need_no_jax_are_the_methods():
    for name, kind in OWN.items():
        assert type(RunSpec(method=name).settings) is kind
        assert own_fields(name) == {field.name for field in dataclasses.fields(kind)}
    code = "import sys, uncle_jax.runs.spec; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_bare_setting_goes_to_each_method_that_has_it():
    assert set_changes(["alpha=3", "lr=1"], Config(), ["ssd"]) == (
        Config(lr=1.0), {"ssd": {"alpha": "3"}},
    )  # fmt: skip
    both = set_changes(["beta=2"], Config(), ["uncle", "hnet", "ssd"])[1]
    assert both == {"uncle": {"beta": "2"}, "hnet": {"beta": "2"}, "ssd": {}}


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ("alhpa=3", "unknown setting of ssd: 'alhpa'; did you mean 'alpha'?"),
        ("gamma=3", "unknown setting of ssd: 'gamma'"),
        ("alpha", "'alpha' is not KEY=VALUE"),
    ],
)
def test_a_setting_of_nobody_is_refused(item, told):
    with pytest.raises(UncleError, match=re.escape(told)):
        set_changes([item], Config(), ["ssd"])


def test_a_setting_of_ones_own_method_is_named_by_its_function():
    item = "nearest.k=3"
    assert setting(item, ["ssd", "a.py:nearest"], "--set") == ("a.py:nearest", "k", "3")
    with pytest.raises(UncleError, match="of method nearest, not of ssd"):
        setting(item, ["ssd"], "--set")


def test_a_run_is_read_back_as_it_was_asked_for():
    spec = RunSpec("permuted-digits", requests=parse("L0 U0"), seeds=(4,))
    spec = spec.changed("trunk=8,16", "epochs=2")
    told = {"dataset": spec.dataset, "method": spec.method, "preset": spec.preset, "seed": 4}
    told |= {
        "requests": "L0 U0",
        "config": as_dict(spec.config),
        "settings": as_dict(spec.settings),
    }
    assert spec_of(told) == spec
    plain = RunSpec("permuted-digits", "clpu", requests=parse("L0 U0"), seeds=(4,))
    del told["settings"]
    assert spec_of({**told, "method": "clpu", "config": as_dict(plain.config)}) == plain
