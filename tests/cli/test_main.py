"""One command, `uncle`, and what its first word may be."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import uncle_jax
from uncle_jax.cli import main as cli
from uncle_jax.cli.main import COMMANDS, main

HEAVY = "{'jax', 'flax', 'optax', 'numpy'}"
ROOT = Path(__file__).resolve().parents[2]


def outcome(argv, capsys):
    """(exit code, stdout, stderr) of `uncle ARGV`, in this process."""
    try:
        code = main(argv)
    except SystemExit as end:
        code = end.code
    return code, *capsys.readouterr()


def test_alone_it_prints_a_line_a_command(capsys):
    code, out, err = outcome([], capsys)
    assert (code, err) == (0, "")
    for name, line in COMMANDS.items():
        assert any(told.split() == [name, *line.split()] for told in out.splitlines())
    assert outcome(["--help"], capsys)[1] == out


def test_version(capsys):
    assert outcome(["--version"], capsys) == (0, f"uncle {uncle_jax.__version__}\n", "")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_commands_help_shows_how_it_is_called(name, capsys):
    code, out, _ = outcome([name, "--help"], capsys)
    assert code == 0
    assert out.startswith(f"usage: uncle {name} [-h]")
    assert f"\nuncle {name} " in out
    assert "experiments/" not in out


def test_help_shows_what_a_setting_may_be(capsys):
    out = outcome(["run", "--help"], capsys)[1]
    assert "--noise {gaussian,fixed,norm,norm-root,discard}" in out
    assert "--backbone {resnet18,resnet50,thin,vit}" in out


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (["rnu"], "invalid choice: 'rnu'; did you mean 'run'?"),
        (["--versoin"], "--versoin; did you mean '--version'?"),
        (["run", "--sed", "3"], "--sed 3; did you mean '--seeds'?"),
        (["run", "--method=uncle", "--epoch=3"], "--epoch=3; did you mean '--epochs'?"),
        (["run", "--burn-inn", "3"], "did you mean '--burn-in'?"),
        (["run", "--chunks", "30"], "did you mean '--set chunks=VALUE'?"),
        (["run", "--data", "x"], "unrecognized arguments: --data x"),  # no abbreviations
        (["table", "runs/x", "--fromat", "csv"], "did you mean '--format'?"),
        (["request", "--store", "s", "unlern", "3"], "did you mean 'unlearn'?"),
        (["request", "--store", "s", "learn", "3", "--data", "f", "--tset", "g"], "'--test'?"),
        (["list", "mehods"], "did you mean 'methods'?"),
    ],
)
def test_what_is_misspelt_is_one_line_with_the_nearest(argv, told, capsys):
    code, out, err = outcome(argv, capsys)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err


def test_a_process_of_its_own_imports_no_jax():
    code = (
        "import runpy, sys; sys.argv = sys.argv[1:]\n"
        "try: runpy.run_module('uncle_jax', run_name='__main__')\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        f"assert not {HEAVY} & sys.modules.keys()"
    )
    for args in (["--version"], ["list", "settings"]):
        done = subprocess.run(
            [sys.executable, "-c", code, "uncle", *args],
            cwd=ROOT, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout


def completions(line, tmp_path):
    """What Tab offers after `line`, asked as argcomplete's shell code asks."""
    told = tmp_path / "told"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line))}
    asked |= {"_ARGCOMPLETE_STDOUT_FILENAME": str(told), "_ARGCOMPLETE_IFS": "\n"}
    code = "from uncle_jax.cli.main import main; main()"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **asked}, check=False)
    assert done.returncode == 0
    return [word.strip() for word in told.read_text().split("\n")]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("uncle r", {"run", "request", "reproduce", "report"}),
        ("uncle run --noise-", {"--noise-samples"}),
        ("uncle run --noise ", {"gaussian", "fixed", "norm", "norm-root", "discard"}),
        ("uncle run --method s", {"scrub", "salun", "ssd"}),
        ("uncle request --store s un", {"unlearn"}),
    ],
)
def test_tab_completes(line, offered, tmp_path):
    pytest.importorskip("argcomplete")
    assert set(completions(line, tmp_path)) == offered


def test_every_command_has_its_module():
    for name in COMMANDS:
        module = cli.module_of(name)
        assert module.parser().prog == f"uncle {name}"
        assert callable(module.main)
