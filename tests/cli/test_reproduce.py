"""uncle reproduce as a user meets it."""

import subprocess
import sys

import pytest
from conftest import HYPER, TINY

from uncle_jax.cli import reproduce
from uncle_jax.presets import PRESETS, Preset
from uncle_jax.studies import catalogue
from uncle_jax.studies.items import ITEMS


def test_every_table_and_figure_is_listed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert reproduce.main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [" ".join(line.split()[:2]) for line in lines[2 : 2 + len(ITEMS)]] == list(ITEMS)
    assert all("uncle reproduce --only" in line for line in lines[2 : 2 + len(ITEMS)])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--only", "tabel2"], "did you mean 'table2'"),
        (["--preset", "x"], "allowed: laptop, paper"),
        (["--datasets", "cifar"], "did you mean 'cifar100'"),
        (["--only", "table20", "--datasets", "permuted-digits"], "data set of these tables"),
        (["--seeds", "0", "0"], "--seeds must differ"),
        (["--seeds", "-1"], "--seeds must be from 0"),
        (["--budget-minutes", "0"], "--budget-minutes"),
        (["--also", "nowhere"], "--also: there is no folder nowhere"),
        (["--output", "no/where.md"], "--output"),
    ],
)
def test_bad_input_is_one_line_and_2(arguments, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert reproduce.main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert told in err
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("small_networks")
def test_killed_in_the_middle_the_same_command_makes_the_same_page(tmp_path, monkeypatch, capsys):
    preset = Preset(TINY, "", HYPER)
    monkeypatch.setitem(PRESETS["permuted-digits"], "laptop", preset)
    short = catalogue.RunSpec().requests[:4]
    monkeypatch.setattr(catalogue, "table_4", lambda dataset, seq: short)
    stop_after = []

    def in_this_process(cells, jobs, work, seconds, engine):
        for number, cell in enumerate(cells):
            if number in stop_after:
                raise KeyboardInterrupt
            work(cell, lambda answered, of: None)
        return [type("Ended", (), {"failed": None})() for _ in cells]

    monkeypatch.setattr("uncle_jax.cli.grid.run_cells", in_this_process)
    words = ["--only", "table3,figure7", "--datasets", "permuted-digits", "--seeds", "0"]
    words += ["--compile-cache", "none"]
    pages = []
    for name, killed in (("whole", []), ("killed", [1])):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        stop_after[:] = killed
        if killed:
            assert reproduce.main(words) == 130
            assert not (tmp_path / name / "reproduced.md").exists()
            stop_after.clear()
        assert reproduce.main(words) == 0
        assert "written to reproduced.md" in capsys.readouterr().out
        assert (tmp_path / name / "reproduced" / "figure7-permuted-digits.png").exists()
        pages.append((tmp_path / name / "reproduced.md").read_text(encoding="utf-8"))
    assert pages[0] == pages[1]
    assert "2 of 2 runs" in pages[0]


def test_help_imports_no_jax():
    code = "import sys; from uncle_jax.cli import reproduce; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
