"""experiments/tune.py as a user meets it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import HYPER, TINY

from uncle_jax.cli import grid, tune
from uncle_jax.presets import PRESETS, Preset
from uncle_jax.runs.pool import Ended

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "tune.py"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--methods", "scrubb"], "scrub"),
        (["--methods", "scrub", "--grid", "ssd.alpha=1"], "ssd"),
        (["--grid", "gamma"], "KEY=V1,V2"),
        (["--grid", "uncle.gamma=a"], "gamma must be a number"),
        (["--output", "no/such/folder.json"], "no/such"),
        (["--output", "."], "--output . is a folder"),
        (["--requests", "L0 U0"], "no task is retained"),
        (["--seed", "-1"], "--seed"),
        (["--trials", "3"], "--trials is of --all"),
        (["--budget-minutes", "3"], "--budget-minutes is of --all"),
    ],
)
def test_bad_input_is_one_line_and_2(arguments, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert tune.main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert told in err
    assert not list(tmp_path.iterdir())


def test_the_script_is_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--methods", "scrubb"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert "did you mean 'scrub'" in done.stderr


@pytest.mark.usefixtures("small_networks")
def test_a_grid_on_digits(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--methods", "ssd", "scrub", "--grid", "ssd.alpha=1e9", "--epochs", "1"]
    words += ["--requests", "L0 L1 U0", "--output", "found.json"]
    # A width of no other test's: networks are kept by their settings, and this one is no ResNet.
    words += ["--set", "buffer_per_task=32", "--set", "width=1"]
    assert tune.main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:5]] == ["method", "ssd", "ssd", "scrub"]
    assert lines[3].split()[1:6:4] == ["ssd.alpha=1e+09", "0.00"], "nothing is selected: no spill"
    assert "best for scrub: its settings as they are" in lines
    assert '"eval_split": "validation"' in (tmp_path / "found.json").read_text()


@pytest.mark.usefixtures("small_networks")
def test_a_trial_that_fails_is_marked_and_the_rest_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--methods", "scrub", "--grid", "scrub.lr=1e30", "--grid", "scrub.lr=1e-4,1e30"]
    words += ["--epochs", "1", "--requests", "L0 L1 U0", "--output", "found.json"]
    assert tune.main([*words, "--set", "buffer_per_task=32", "--set", "width=1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    trials = [line for line in lines if line.startswith("scrub")]
    assert [line.split()[1:2] for line in trials[1:]] == [["scrub.lr=1e+30"], ["scrub.lr=0.0001"]]
    assert "failed: U0 ends in a network that is not finite" in trials[1]
    (best,) = (line for line in lines if line.startswith("best"))
    assert "1e+30" not in best
    found = json.loads((tmp_path / "found.json").read_text())["trials"]
    assert [trial["score"] is None for trial in found] == [False, True, False]
    assert "not finite" in found[1]["failed"]


@pytest.mark.usefixtures("small_networks")
def test_where_every_trial_fails_nothing_is_best(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--methods", "hnet", "--epochs", "1", "--requests", "L0 L1 U0", "--lr", "1e30"]
    assert tune.main([*words, "--set", "width=1"]) == 2
    out, err = capsys.readouterr()
    assert "best for hnet: no trial has a score" in out
    assert err == "error: every trial failed\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--grid", "gamma=1"], "--grid does not go with --all"),
        (["--lr", "1"], "--lr does not go with --all"),
        (["--beta", "0"], "--beta does not go with --all"),
        (["--requests", "L0 L1"], "must unlearn a task"),
        (["--trials", "0"], "--trials must be at least 1"),
        (["--methods", "scrubb"], "did you mean 'scrub'"),
        (["--jobs", "0"], "--jobs"),
        (["--output", "no/such/folder.json"], "no/such"),
    ],
)
def test_bad_input_to_all_is_one_line_and_2(arguments, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert tune.main(["--all", *arguments]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert told in err


@pytest.mark.usefixtures("small_networks")
def test_all_from_one_budget_and_the_record(tmp_path, monkeypatch, capsys):
    """The pool's processes would have no small networks, so the cells are done in this one."""

    def here(cells, jobs, work, seconds=None):
        for cell in cells:
            work(cell, lambda answered, of: None)
        return [Ended(cell, None, 0.0) for cell in cells]

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(grid, "run_cells", here)
    monkeypatch.setitem(PRESETS["permuted-digits"], "laptop", Preset(TINY, "", HYPER))
    words = ["--all", "--methods", "ssd", "--trials", "2", "--requests", "L0 L1 U0"]
    words += ["--output", "found.json", "--compile-cache", "none"]
    assert tune.main(words) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["best for derpp", "best for ssd"]
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["protocol"]["trials"] == 2
    assert len(found["unlearning"]["unlearning-derpp"]["trials"]) == 2
