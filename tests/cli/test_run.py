"""`uncle run` as a user meets it; in a process of its own where that matters."""

import contextlib
import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Small

from uncle_jax.cli import run as command
from uncle_jax.cli import table
from uncle_jax.core import backbones
from uncle_jax.runs.progress import Download

RUN = Path(__file__).resolve().parents[2] / "experiments" / "run.py"
QUICK = ["width=4", "trunk=8,16", "embedding=4", "chunks=7", "burn_in=5", "norm_calibration=2"]


QUICKLY = ["--requests", "L0 L1 U0", "--epochs", "1"]
QUICKLY += [word for setting in QUICK for word in ("--set", setting)]


# run.py with a main network that compiles in a moment.
SMALL = """
import runpy, sys
from conftest import Small
from uncle_jax.core import backbones
backbones.from_config = lambda config, n_classes: Small(n_classes)
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def quick(cwd: Path) -> subprocess.Popen:
    """A process of its own that answers what `finished` is, seed 0."""
    path = os.pathsep.join(map(str, (RUN.parents[1], RUN.parents[1] / "tests")))
    return subprocess.Popen(
        [sys.executable, "-u", "-c", SMALL, str(RUN), *QUICKLY],
        cwd=cwd, env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def only_run(where: Path) -> Path:
    (found,) = (where / "runs").iterdir()
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(work directory, what was printed) of two seeds answered in this process."""
    where, told = tmp_path_factory.mktemp("finished"), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(told):
        patch.chdir(where)
        patch.setattr(backbones, "from_config", lambda config, n_classes: Small(n_classes))
        assert command.main([*QUICKLY, "--seeds", "0", "3"]) == 0
    return only_run(where), told.getvalue()


def test_a_run_leaves_its_files(finished):
    workdir, told_all = finished
    summary = json.loads((workdir / "summary.json").read_text())
    for name in ("RA", "FA", "spill", "spill_sum", "relapse", "relapse_signed"):
        assert set(summary[name]) == {"mean", "std", "per_seed"}
        assert set(summary[name]["per_seed"]) == {"0", "3"}
    for name in ("unlearn_seconds", "learn_seconds", "compile_seconds", "wall_seconds"):
        assert summary[name] > 0
    with (workdir / "seed3" / "metrics.csv").open() as file:
        every = list(csv.DictReader(file))
    rows = [row for row in every if row["metric"] == "accuracy"]
    assert {row["metric"] for row in every} == {
        "accuracy", "before", "guess", "kept_bytes", "read_bytes", "UNI", "phi_norm",
        "TF_accuracy", "TF_task", "TF_sure", "TF_sure_gone",
    }  # fmt: skip
    assert list(rows[0]) == ["request", "op", "task", "evaluated_task", "split", "metric", "value"]
    assert [(r["request"], r["op"], r["task"], r["evaluated_task"]) for r in rows] == [
        ("0", "L", "0", "0"),
        ("1", "L", "1", "0"), ("1", "L", "1", "1"),
        ("2", "U", "0", "0"), ("2", "U", "0", "1"),
    ]  # fmt: skip
    assert float(rows[-1]["value"]) == pytest.approx(summary["RA"]["per_seed"]["3"], abs=1e-3)
    config = json.loads((workdir / "seed0" / "config.json").read_text())
    assert config["requests"] == "L0 L1 U0"
    assert config["settings"]["chunks"] == 7
    told = {"fingerprint", "versions", "device", "processor", "xla_flags", "commit", "seed"}
    assert told <= set(config)
    assert config["processor"]
    assert (workdir / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    assert "RA  retained tasks" in told_all
    assert "[3/3] U0" in told_all


def test_another_run_is_not_written_over(finished, capsys):
    workdir, _ = finished
    before = (workdir / "summary.json").read_bytes()
    assert command.main([*QUICKLY, "--beta", "0.5", "--workdir", str(workdir)]) == 2
    told = capsys.readouterr().err
    assert "beta 0.1, now 0.5" in told
    assert "--overwrite" in told
    assert (workdir / "summary.json").read_bytes() == before


def last_state(seed_folder):
    lines = (seed_folder / "store" / "ledger.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines][-2]["state"]


def test_a_killed_run_goes_on_and_ends_in_the_same_bits(finished, tmp_path):
    whole = finished[0] / "seed0"
    with quick(tmp_path) as child:
        assert child.stdout is not None
        assert any(line.startswith("[1/3] L0") for line in child.stdout)
        child.kill()
    halfway = only_run(tmp_path) / "seed0"
    answered = (halfway / "store" / "ledger.jsonl").read_text()
    assert '"id": "2-U0"' not in answered
    with quick(tmp_path) as child:
        _, errors = child.communicate()
    assert child.returncode == 0, errors
    assert (halfway / "metrics.csv").read_bytes() == (whole / "metrics.csv").read_bytes()
    assert last_state(halfway) == last_state(whole)
    first = answered.splitlines()[1]  # not answered again
    assert first in (halfway / "store" / "ledger.jsonl").read_text()


def test_help_and_bad_arguments_answer_before_jax_is_imported(tmp_path):
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "except SystemExit as end: print('exit', end.code)\n"
        "assert not {'jax', 'flax', 'optax', 'numpy'} & sys.modules.keys()"
    )
    for args, status in ((["--help"], 0), (["--seq", "one"], 2), (["--lr", "-1"], 2)):
        words = [sys.executable, "-c", code, str(RUN), *args]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert f"exit {status}" in done.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--requests", "L0 L99"], "unknown task 99 (allowed: 0 to 9)"),
        (["--requests", "L0 U1"], "task 1 is not learned"),
        (["--requests", "L0 Q1"], "malformed request 'Q1'"),
        (["--requests", ""], "--requests is empty"),
        (["--set", "chunk=5"], "did you mean 'chunks'"),
        (["--set", "chunks"], "is not KEY=VALUE"),
        (["--epochs", "ten"], "epochs must be a whole number, not 'ten'"),
        (["--lr", "-1"], "lr must be positive"),
        (["--noise", "gausian"], "did you mean 'gaussian'"),
        (["--seq", "4"], "unknown sequence '4'"),
        (["--seq", "one"], "invalid int value"),
        (["--dataset", "permuted-digit"], "did you mean 'permuted-digits'"),
        (["--preset", "desktop"], "allowed: laptop"),
        (["--method", "unkle"], "did you mean 'uncle'"),
        (["--seeds", "1", "1"], "--seeds must differ"),
        (["--colour", "red"], "unrecognized arguments"),
        (["--workdir", "/dev/null/x"], "cannot write to --workdir /dev/null/x"),
        (["--dataset", "permuted-mnist", "--data-dir", "no", "--no-download"], "no/mnist (get it"),
        (["--dataset", "folder:nowhere"], "no class folder in"),
        (["--dataset", "npz:nowhere"], "no .npz file in"),
        (["--dataset", "zip:x"], "unknown kind of own data 'zip'"),
        (["--accept", "cifar"], "did you mean 'cifar"),
        (["--substitute", "svhn"], "is not TASK=NAME"),
        (["--substitute", "svhn=cifar10"], "--substitute is for five-tasks"),
        (["--dataset", "five-tasks", "--substitute", "svnh=cifar10"], "did you mean 'svhn'"),
        (["--dataset", "five-tasks", "--substitute", "svhn=cifar100"], "has 100 classes"),
        (["--tasks", "nowhere.json"], "cannot read --tasks"),
    ],
)
def test_bad_input_is_one_line_exit_code_2_and_nothing_written(
    tmp_path, args, message, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    try:
        code = command.main(args)
    except SystemExit as end:  # argparse's own
        code = end.code
    told = capsys.readouterr()
    assert code == 2
    assert message in told.err
    assert len(told.err.strip().splitlines()) == 1
    assert told.out == ""
    assert list(tmp_path.iterdir()) == []


OWN = ["--method", f"{RUN.parent / 'own_method.py'}:nearest_mean", "--requests", "L0 L1 U0"]


def test_seeds_of_two_days_are_one_summary_table_and_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main([*OWN, "--seeds", "1", "--workdir", "w"]) == 0
    assert "\nseeds 1; chance 10.0; " in capsys.readouterr().out
    first = (tmp_path / "w" / "seed1" / "metrics.csv").read_bytes()
    picture = (tmp_path / "w" / "accuracy.png").read_bytes()
    assert command.main([*OWN, "--seeds", "0", "--workdir", "w"]) == 0
    assert "\nseeds 0, 1; chance 10.0; " in capsys.readouterr().out
    summary = json.loads((tmp_path / "w" / "summary.json").read_text())
    assert set(summary["RA"]["per_seed"]) == {"0", "1"}
    assert (tmp_path / "w" / "seed1" / "metrics.csv").read_bytes() == first
    assert (tmp_path / "w" / "accuracy.png").read_bytes() != picture
    assert table.main(["w", "--format", "csv"]) == 0
    (row,) = csv.DictReader(capsys.readouterr().out.splitlines())
    assert row["seeds"] == "0 1"
    assert float(row["RA"]) == pytest.approx(summary["RA"]["mean"], abs=1e-3)
    assert command.main([*OWN, "--seeds", "0", "1", "--workdir", "w"]) == 0  # answered already
    assert json.loads((tmp_path / "w" / "summary.json").read_text()) == summary
    assert command.main([*OWN, "--seeds", "2", "--workdir", "w", "--set", "batch_size=9"]) == 2
    assert "batch_size 128, now 9" in capsys.readouterr().err


def test_seeds_of_two_processes_end_in_one_summary(tmp_path):
    words = [sys.executable, str(RUN), *OWN, "--workdir", "w", "--seeds"]
    children = [
        subprocess.Popen([*words, seed], cwd=tmp_path, stdout=subprocess.DEVNULL) for seed in "01"
    ]
    assert [child.wait() for child in children] == [0, 0]
    summary = json.loads((tmp_path / "w" / "summary.json").read_text())
    assert set(summary["RA"]["per_seed"]) == {"0", "1"}
    left = {path.name for path in (tmp_path / "w").iterdir()}
    assert left == {"seed0", "seed1", "summary.json", "accuracy.png"}


def test_dry_run_writes_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main([*QUICKLY, "--set", "chunks=30", "--dry-run"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["settings"]["chunks"] == 30
    assert told["sizes"] == {"phi_parameters": 3446, "main_network_parameters": 5142}
    assert told["estimate"]["total_seconds"] > 0
    assert list(tmp_path.iterdir()) == []


def test_a_methods_own_setting_is_told_apart_from_the_presets_of_the_same_name():
    words = ("--method", "scrub", "--set", "lr=0.5", "--set", "scrub.lr=0.25")
    spec = command.spec_of(command.parser().parse_args(words), Download())
    assert spec.changes == {"lr": 0.5, "scrub.lr": 0.25}
    assert (spec.config.lr, spec.settings.lr) == (0.5, 0.25)


def test_membership_is_measured_where_it_is_asked_for(finished, tmp_path, monkeypatch, capsys):
    workdir, _ = finished
    monkeypatch.setattr(backbones, "from_config", lambda config, n_classes: Small(n_classes))
    words = [*QUICKLY, "--seeds", "0", "--workdir"]
    assert command.main([*words, str(workdir), "--mia"]) == 2
    assert "has seed 0 without --mia" in capsys.readouterr().err
    assert command.main([*words, str(tmp_path / "w"), "--mia"]) == 0
    summary = json.loads((tmp_path / "w" / "summary.json").read_text())
    for feature in ("correctness", "confidence", "entropy", "probability"):
        assert 0 <= summary[f"MIA_{feature}"]["mean"] <= 100
    assert command.main([*words, str(tmp_path / "w"), "--mia"]) == 0  # finished: it has them


def test_measure_is_of_a_dry_run(capsys):
    assert command.main([*QUICKLY, "--measure"]) == 2
    assert "--measure times the steps of --dry-run" in capsys.readouterr().err


@pytest.mark.usefixtures("small_networks")
def test_quiet_shows_the_table_alone_and_a_log_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert command.main([*QUICKLY, "--log", "jsonl", "--quiet"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("in percentage points")
    assert "after each request" not in out
    lines = (only_run(tmp_path) / "seed0" / "log.jsonl").read_text().splitlines()
    answers = [told for told in map(json.loads, lines) if "accuracy" in told]
    assert [(told["op"], told["task"]) for told in answers] == [
        ("learn", 0),
        ("learn", 1),
        ("unlearn", 0),
    ]
    assert any("loss" in told for told in map(json.loads, lines))


@pytest.mark.parametrize("names", ["json", "jsonl,tensorbord"])
def test_a_logger_that_there_is_not(names, capsys):
    assert command.main(["--log", names]) == 2
    assert "unknown logger" in capsys.readouterr().err


def test_a_run_that_may_not_fit_the_device_says_so_in_a_line(capsys):
    told = {"peak_memory_bytes": 3 * 2**30, "device_memory_bytes": 2**31}
    command.warn_of_memory(told)
    assert capsys.readouterr().out == (
        "this run may not fit: about 3.0 GiB were nothing fused, and the device has 2.0; a "
        "smaller --batch-size takes less\n"
    )
    for there in (4 * 2**30, None):
        command.warn_of_memory(told | {"device_memory_bytes": there})
    assert not capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--mesh", "4"], "--mesh must be such as data=4,model=2, not '4'"),
        (["--mesh", ""], "--mesh must be such as"),
        (["--mesh", "data=2", "--method", "clpu"], "--mesh spreads learners with a hypernetwork"),
        (["--mesh", "data=2", "--seeds", "0", "1", "--jobs", "2"], "--mesh and --jobs do not"),
        (["--coordinator", "a:1"], "--coordinator needs --mesh"),
        (["--stream", "many"], "--stream 'many' is not N, or N,unlearn=SHARE"),
        (["--stream", "9", "--requests", "L0"], "--stream draws requests, and --requests names"),
        (["--process", "1"], "--processes and --process need --coordinator"),
        (["--mesh", "data=2", "--coordinator", "a"], "--coordinator must be HOST:PORT or auto"),
        (["--mesh", "data=2", "--coordinator", "a:1"], "needs --processes N and --process I"),
        (
            [
                *["--mesh", "data=2", "--coordinator", "a:1"],
                *["--processes", "2", "--process", "2"],
            ],
            "--process must be from 0 to 1, one less than --processes, not 2",
        ),
    ],
)
def test_what_cannot_be_is_a_line(words, told, capsys):
    assert command.main(words) == 2
    assert told in capsys.readouterr().err


def test_a_mesh_is_read_as_it_is_said():
    def asked(text):
        return command.mesh_asked(command.parsed(command.parser(), ["--mesh", text]))

    assert asked("data=4,model=2") == {"data": 4, "model": 2}
    assert asked("model=8") == {"data": 1, "model": 8}
    assert command.mesh_asked(command.parsed(command.parser(), [])) is None
