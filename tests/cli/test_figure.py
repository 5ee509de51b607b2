"""uncle figure as a user meets it."""

import json
import subprocess
import sys

import pytest
from reporting import write_run

from uncle_jax.cli import figure

REQUESTS = "L0 L1 U0 L2"


@pytest.fixture
def runs(tmp_path):
    settings = {"trunk": [8, 16], "chunks": 3, "embedding": 5}
    two = write_run(tmp_path / "u", "uncle", told={"settings": settings})
    return [str(write_run(tmp_path / "s", "ssd")), str(two)]


OF_RUNS = [name for name in figure.FIGURES if name not in ("magnitude", "cost")]


@pytest.mark.parametrize("name", OF_RUNS)
def test_each_figure_is_a_file(name, runs, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert figure.main([name, *runs]) == 0
    assert capsys.readouterr().out == f"written to {name}.png\n"
    assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert figure.main([name, *runs, "--width", "column", "--output", "a.pdf"]) == 0
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["taks", "s"], "did you mean 'tasks'"),
        (["task", "s", "--width", "pgae"], "did you mean 'page'"),
        (["task", "s", "--task", "9"], "--task 9 is not of 0, 1, 2"),
        (["tasks", "s", "--task", "0"], "--task is of the figure 'task'"),
        (["task", "nowhere"], "there is no folder nowhere"),
        (["task", "s", "other"], "these are"),
        (["magnitude", "s"], "no run has measured"),
        (["cost", "s", "other"], "of one benchmark's file, not of 2"),
        (["cost", "nowhere.json"], "there is no file nowhere.json"),
        (["schematic", "s"], "none of these runs has one"),
        (["task", "s", "--output", "no/where.png"], "--output"),
        (["task", "s", "--output", "a.docx"], "cannot write a.docx"),
    ],
)
def test_bad_input_is_one_line_and_2(arguments, told, runs, tmp_path, monkeypatch, capsys):
    write_run(tmp_path / "other", "ssd", requests="L0 L1")
    monkeypatch.chdir(tmp_path)
    assert figure.main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert told in err
    assert {path.name for path in tmp_path.iterdir()} == {"s", "u", "other"}


def test_help_imports_no_jax_and_no_matplotlib():
    code = "import sys, uncle_jax.cli.figure as f; f.parser(); "
    code += "assert not {'jax', 'matplotlib'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_cost_is_of_a_benchmarks_file(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rows = [{"subject": "unlearn", "T": n, "seconds": 0.1 * n} for n in (1, 5)]
    (tmp_path / "a.json").write_text(json.dumps({"rows": rows}))
    assert figure.main(["cost", "a.json"]) == 0
    assert capsys.readouterr().out == "written to cost.png\n"
