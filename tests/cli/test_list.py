"""`uncle list`: what there is, a line each."""

import dataclasses

import pytest
from conftest import SPEC, TINY

from uncle_jax.cli.list import DATASETS, METHODS, main
from uncle_jax.config import Config
from uncle_jax.methods import registry
from uncle_jax.presets import PRESETS


def listed(capsys, *words):
    assert main([*words]) == 0
    return capsys.readouterr().out.splitlines()


def test_every_method_has_a_line_that_is_true_of_it(capsys):
    assert list(METHODS) == list(registry.METHODS)
    lines = listed(capsys, "methods")
    assert [line.split()[0] for line in lines[: len(METHODS)]] == list(METHODS)
    for name, (reads, _) in METHODS.items():
        assert registry.build(name, SPEC, 4, TINY).reads == reads, name


def test_every_dataset_and_preset_has_a_line(capsys):
    assert list(DATASETS) == list(PRESETS)
    assert [line.split()[0] for line in listed(capsys, "datasets")][: len(PRESETS)] == [*PRESETS]
    lines = [line.split()[:2] for line in listed(capsys, "presets")]
    assert all([name, one] in lines for name, named in PRESETS.items() for one in named)


def test_settings_of_all_and_of_one_method(capsys):
    lines = listed(capsys, "settings")
    assert [line.split()[0] for line in lines] == [f.name for f in dataclasses.fields(Config)]
    uncle = listed(capsys, "settings", "uncle")
    (noise,) = (line.split() for line in uncle if line.startswith("uncle.noise "))
    assert noise[1:3] == ["{gaussian,fixed,norm,norm-root,discard}", "gaussian"]
    (msteps,) = (line for line in listed(capsys, "settings", "scrub") if ".msteps " in line)
    assert msteps.split()[:3] == ["scrub.msteps", "INT", "2"]
    assert msteps.endswith("the first epochs, those with a forget pass (authors' code)")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["settings", "scrubb"], "did you mean 'scrub'"),
        (["settings", "clpu"], "clpu has no settings of its own"),
        (["methods", "scrub"], "takes no METHOD"),
    ],
)
def test_bad_input_is_one_line(words, told, capsys):
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert told in err
