"""`uncle grid`: which runs the options name, and that they run."""

import json
from pathlib import Path

import pytest

from uncle_jax.cli import grid
from uncle_jax.cli.arguments import parsed
from uncle_jax.cli.grid import read_specs, specs_of

OWN = Path(__file__).resolve().parents[2] / "experiments" / "own_method.py"


def names(*words):
    specs = specs_of(parsed(grid.parser(), [*words]))
    return [(spec.name, spec.seeds) for spec in specs]


def test_the_options_are_multiplied():
    assert names("--methods", "uncle", "hnet", "--seqs", "1", "2", "--seeds", "3", "4") == [
        ("permuted-digits-seq1-uncle", (3, 4)),
        ("permuted-digits-seq1-hnet", (3, 4)),
        ("permuted-digits-seq2-uncle", (3, 4)),
        ("permuted-digits-seq2-hnet", (3, 4)),
    ]
    found = names("--datasets", "permuted-digits", "cifar100", "--preset", "laptop")
    assert [name for name, _ in found] == ["permuted-digits-seq1-uncle", "cifar100-seq1-uncle"]
    found = names(
        *("--methods", "uncle", "scrub", "--epochs", "3", "--requests", "L0 U0"),
        *("--grid", "uncle.gamma=0.1,0.3", "--grid", "lr=0.001,0.002", "--set", "scrub.lr=0.5"),
    )
    assert [name.removeprefix("permuted-digits-own-") for name, _ in found] == [
        f"uncle-epochs=3-lr={lr}-gamma={gamma}" for gamma in (0.1, 0.3) for lr in (0.001, 0.002)
    ] + [f"scrub-epochs=3-lr={lr}-scrub.lr=0.5" for lr in (0.001, 0.002)]


def test_a_preset_belongs_to_each_data_set():
    args = parsed(grid.parser(), ["--datasets", "cifar100", "permuted-digits"])
    assert [spec.preset for spec in specs_of(args)] == ["paper", "laptop"]


def test_a_file_lists_runs(tmp_path):
    file = tmp_path / "runs.json"
    listed = [
        {"method": "uncle", "seeds": [1, 2], "set": ["gamma=0.5"]},
        {"dataset": "cifar100", "preset": "laptop", "method": "ssd", "seq": 2},
        {"requests": "L0 L1 U0"},
    ]
    file.write_text(json.dumps(listed))
    first, second, third = read_specs(parsed(grid.parser(), [str(file)]))
    assert (first.seeds, first.settings.gamma) == ((1, 2), 0.5)
    assert (second.dataset, second.seq, second.preset) == ("cifar100", 2, "laptop")
    assert (third.seeds, third.seq, third.method, third.changes) == ((0,), None, "uncle", {})


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        ("{", "cannot read"),
        ({"method": "uncle"}, "must be a list of objects"),
        ([3], "must be a list of objects"),
        ([{"methods": "uncle"}], "did you mean 'method'"),
        ([{"method": 3}], "run 1: dataset, method, preset and settings are words"),
        ([{}, {"seeds": [1.5]}], "run 2: seeds is a list of whole numbers"),
        ([{"seeds": [True]}], "seeds is a list of whole numbers"),
        ([{"set": "gamma=1"}], "set is a list"),
        ([{"seq": 1, "requests": "L0 U0"}], "stand in place of seq"),
        ([{"requests": 3}], "stand in place of seq"),
        ([{"set": ["gama=1"]}], "did you mean 'gamma'"),
        ([{"method": "uncl"}], "did you mean 'uncle'"),
    ],
)
def test_a_file_that_lists_none_is_one_line(tmp_path, listed, told, capsys):
    file = tmp_path / "runs.json"
    file.write_text(listed if isinstance(listed, str) else json.dumps(listed))
    assert grid.main([str(file), "--runs", str(tmp_path / "r")]) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 1)
    assert told in err
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--jobs", "0"], "--jobs must be at least 1"),
        (["--address", "auto"], "--address is of --engine ray"),
        (["--gpus-per-run", "1"], "--gpus-per-run is of --engine ray"),
        (["--engine", "ray", "--cpus-per-run", "0"], "--cpus-per-run must be positive, not 0"),
        (["--budget-minutes", "0"], "--budget-minutes must be above 0"),
        (["--budget-minutes", "nan"], "--budget-minutes must be above 0"),
        (["--save-every", "0"], "--save-every must be at least 1"),
        (["--seeds", "1", "1"], "--seeds must differ"),
        (["--methods", "uncle", "uncle"], "two runs are the same"),
        (["--seqs", "4"], "sequence"),
    ],
)
def test_bad_options_are_one_line(tmp_path, words, told, capsys):
    assert grid.main(["--runs", str(tmp_path / "r"), *words]) == 2
    err = capsys.readouterr().err
    assert told in err
    assert len(err.splitlines()) == 1


def test_a_folder_that_cannot_be_made_is_told_before_anything_runs(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert grid.main(["--runs", str(tmp_path / "file" / "runs")]) == 2
    assert "cannot make the folder" in capsys.readouterr().err


def test_cells_run_and_end_in_their_table_and_the_same_command_goes_on(tmp_path, capsys):
    broken = tmp_path / "broken.py"
    broken.write_text("def broken(spec, n_tasks, config=None):\n    1 / 0\n")
    words = ["--runs", str(tmp_path / "r"), "--requests", "L0 L1 U0", "--jobs", "2"]
    own = ["--methods", f"{OWN}:nearest_mean"]
    assert grid.main([*words, "--seeds", "0", "1", *own]) == 0
    out = capsys.readouterr().out
    assert "2 runs, 2 at a time" in out
    assert "[2/2] permuted-digits, L0 L1 U0, nearest_mean, seed " in out
    assert "nearest_mean  nothing" in out
    before = {p: p.read_bytes() for p in (tmp_path / "r").rglob("metrics.csv")}
    assert len(before) == 2
    assert grid.main([*words, *own, f"{broken}:broken"]) == 1
    out, err = capsys.readouterr()
    assert out.count(": failed: ") == 1
    assert ", broken, seed 0: failed: TypeError: broken() takes" in out
    assert "nearest_mean  nothing" in out
    assert "1 of 2 runs failed" in err
    assert {p: p.read_bytes() for p in before} == before


def test_ray_stands_in_the_place_of_processes(monkeypatch, capsys):
    asked = []

    def tasks(cells, jobs, work, watch, seconds, **more):
        asked.append((len(cells), jobs, seconds, more["address"], more["needs"]))
        return []

    monkeypatch.setattr("uncle_jax.runs.on_ray.tasks", tasks)
    words = ["--engine", "ray", "--seeds", "0", "1", "2", "--budget-minutes", "1"]
    for more in ([], ["--address", "auto", "--cpus-per-run", "4", "--gpus-per-run", "0.5"]):
        args = parsed(grid.parser(), [*words, *more])
        cells = grid.pool.cells(grid.specs_of(args))
        grid.run_cells(
            cells, args.jobs or (2 if not more else None), None, 60, grid.engine_of(args)
        )
    each = float(max(len(grid.cores()) // 2, 1))
    assert asked == [(3, 2, 60, None, (each, 0.0)), (3, 3, 60, "auto", (4.0, 0.5))]
    told = capsys.readouterr().out.splitlines()
    assert told[1].startswith(
        "3 runs on Ray on the cluster at auto, 3 at a time at most, each with"
    )
