"""uncle report as a user meets it."""

import subprocess
import sys

import pytest
from reporting import write_run

from uncle_jax.cli import report


def test_a_page_of_finished_runs(tmp_path, monkeypatch, capsys):
    write_run(tmp_path / "runs" / "a")
    write_run(tmp_path / "runs" / "b", answered=2)
    (tmp_path / "runs" / "b" / "summary.json").unlink()
    monkeypatch.chdir(tmp_path)
    assert report.main(["runs/a", "runs/b"]) == 0
    out, err = capsys.readouterr()
    assert out == "written to report.html, 0.0 MB\n"
    assert err.startswith("skipped: ")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert report.main(["runs/a", "--output", "b.html", "--title", "Mine"]) == 0
    assert "<h1>Mine</h1>" in (tmp_path / "b.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "there is no folder nowhere"),
        (["runs/b"], "no run is finished yet"),
        (["runs/a", "--output", "no/where.html"], "--output"),
    ],
)
def test_bad_input_is_one_line_and_2(arguments, told, tmp_path, monkeypatch, capsys):
    write_run(tmp_path / "runs" / "a")
    (tmp_path / "runs" / "b" / "seed0").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert report.main(arguments) == 2
    assert told in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_help_imports_neither_jax_nor_the_template(tmp_path):
    code = "import sys; from uncle_jax.cli import report; report.parser()"
    code += "; assert not {'jax', 'jinja2', 'matplotlib'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)
