"""Whose settings a run has: its authors', or those that trials chose."""

import json

import pytest

from uncle_jax.config import Uncle
from uncle_jax.errors import UncleError
from uncle_jax.methods.registry import METHODS
from uncle_jax.presets import PRESETS, Preset, preset
from uncle_jax.runs import usual
from uncle_jax.runs.protocol import Protocol
from uncle_jax.runs.spaces import FAMILIES, UNLEARNING, family
from uncle_jax.runs.spec import RunSpec, spec_of
from uncle_jax.runs.usual import SOURCES, trials

CHOSEN = {
    "learning": {"choices": {"derpp": {"lr": "4e-3"}, "hypernetwork": {"schedule": "constant"}}},
    "unlearning": {"choices": {"ssd": {"ssd.alpha": "3"}, "uncle": {"uncle.gamma": "0.5"}}},
}


@pytest.fixture
def tried(monkeypatch, tmp_path):
    """The digits' preset has the record CHOSEN."""
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials" / "digits.json").write_text(json.dumps(CHOSEN))
    monkeypatch.setattr(usual, "files", lambda package: tmp_path)
    one = Preset(preset("permuted-digits").config, "", Uncle(beta=0.5), "digits.json")
    monkeypatch.setitem(PRESETS["permuted-digits"], "laptop", one)


@pytest.mark.usefixtures("tried")
def test_tuned_is_the_familys_rate_and_the_methods_own_settings():
    ssd, rt = RunSpec(method="ssd", source="tuned"), RunSpec(method="rt", source="tuned")
    assert (ssd.config.lr, rt.config.lr) == (4e-3, 4e-3)
    assert ssd.settings.alpha == 3
    uncle, hnet = RunSpec(source="tuned"), RunSpec(method="hnet", source="tuned")
    config = preset("permuted-digits").config
    assert (uncle.config.schedule, uncle.config.lr) == ("constant", config.lr)
    assert (uncle.settings.gamma, uncle.settings.beta) == (0.5, 0.5), "and the preset's others"
    assert hnet.settings.beta == 0.5
    assert RunSpec(method="ssd").config.lr == preset("permuted-digits").config.lr


@pytest.mark.usefixtures("tried")
def test_tuned_is_never_silent():
    spec = RunSpec(method="ssd", source="tuned")
    assert (spec.changes, spec.label) == ({}, "ssd tuned")
    assert spec.name == "permuted-digits-seq1-ssd-tuned"
    assert spec.changed("alpha=4").label == "ssd tuned alpha=4.0"
    told = {"dataset": "permuted-digits", "method": "ssd", "requests": "L0 U0", "seed": 1}
    config = {"source": "tuned", "config": {}, "settings": {"alpha": 3.0}}
    assert spec_of(told | config).label.startswith("ssd tuned")


@pytest.mark.usefixtures("tried")
@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"source": "tunde"}, "did you mean 'tuned'"),
        ({"method": "scrub", "source": "tuned"}, "scrub has no tuned settings .* tried were ssd"),
        ({"method": "clpu", "source": "tuned"}, "clpu has no tuned settings"),
        ({"method": "jax:jit", "source": "tuned"}, "your own method"),
        ({"dataset": "five-tasks", "source": "tuned"}, "those that have: permuted-digits"),
        ({"dataset": "npz:x", "source": "tuned"}, "has no tuned settings"),
    ],
)
def test_what_was_not_tried_is_said(wrong, told):
    with pytest.raises(UncleError, match=told):
        RunSpec(**wrong)


HAVING = [(data, name) for data, known in PRESETS.items() for name in known if known[name].trials]


@pytest.mark.parametrize(("dataset", "name"), HAVING)
def test_each_record_of_the_package_has_one_protocol_and_equal_counts(dataset, name):
    found = trials(dataset, name)
    asked = Protocol(**{key: found["protocol"][key] for key in ("dataset", "preset", "trials")})
    assert (asked.dataset, asked.preset) == (dataset, name)
    for learner in found["learning"]["choices"]:
        tried = found["learning"][f"learning-{learner}"]["trials"]
        assert len(tried) == asked.trials * len(found["protocol"]["seeds"])
    for stage in ("learning", "unlearning"):
        for one in [told for key, told in found[stage].items() if key != "choices"]:
            assert one["decided"]["config"]["eval_split"] == "validation"
    for method in found["protocol"]["methods"]:
        assert RunSpec(dataset, method, name, source="tuned").source in SOURCES
        assert family(method) in found["learning"]["choices"]
    assert {*FAMILIES} >= {*found["learning"]["choices"]}
    assert {*UNLEARNING} >= {*found["unlearning"]["choices"]}
    assert {*METHODS} >= {*found["protocol"]["methods"]}
