"""uncle study as a user meets it."""

import pytest
from conftest import HYPER, TINY

from uncle_jax.cli import study
from uncle_jax.presets import PRESETS, Preset
from uncle_jax.studies import catalogue
from uncle_jax.studies.catalogue import STUDIES


def test_without_a_name_all_are_listed(capsys):
    assert study.main([]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()] == list(STUDIES)
    assert "table 8" in out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nose"], "did you mean 'noise'"),
        (["noise", "--preset", "x"], "allowed: laptop, paper"),
        (["noise", "--datasets", "cifar"], "did you mean 'cifar100'"),
        (["noise", "--format", "csv"], "--format"),
        (["noise", "--seeds", "0", "0"], "--seeds must differ"),
        (["noise", "--budget-minutes", "0"], "--budget-minutes"),
        (["noise", "--output", "no/where.md"], "--output"),
        (["noise", "--show"], "nothing of it is run in runs"),
    ],
)
def test_bad_input_is_one_line_and_2(arguments, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert study.main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert told in err
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("small_networks")
def test_a_study_runs_and_the_same_command_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(PRESETS["permuted-digits"], "laptop", Preset(TINY, "", HYPER))
    monkeypatch.setattr(catalogue, "table_4", lambda dataset, seq: catalogue.RunSpec().requests[:3])
    told = []

    def in_this_process(cells, jobs, work, seconds, engine):
        told.append(len(cells))
        for cell in cells:
            work(cell, lambda answered, of: None)
        return [type("Ended", (), {"failed": None})() for _ in cells]

    monkeypatch.setattr("uncle_jax.cli.grid.run_cells", in_this_process)
    words = ["saturation", "--seeds", "0", "--compile-cache", "none"]
    assert study.main(words) == 0
    first = capsys.readouterr().out
    assert "learning only" in first
    assert "not run" not in first
    assert study.main(words) == 0
    assert capsys.readouterr().out == first
    assert study.main([*words, "--show", "--format", "markdown", "--output", "a.md"]) == 0
    assert "| permuted-digits | UnCLe |" in (tmp_path / "a.md").read_text()
    assert told == [2, 2]
