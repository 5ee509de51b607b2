"""What the commands share."""

import subprocess
import sys

import pytest

from uncle_jax.cli.arguments import (
    Parser,
    add_data,
    add_settings,
    asked_changes,
    exit_code,
)
from uncle_jax.config import Config
from uncle_jax.errors import UncleError
from uncle_jax.runs.spec import set_changes


def test_settings_of_the_run_and_of_each_method():
    p = Parser()
    add_data(p)
    add_settings(p)
    args = p.parse_args(["--batch-size", "9", "--set", "ssd.alpha=3", "--burn-in", "7"])
    config, own = set_changes(asked_changes(args), Config(), ["ssd", "uncle", "hnet"])
    assert config == Config(batch_size=9)
    assert own == {"ssd": {"alpha": "3"}, "uncle": {"burn_in": "7"}, "hnet": {}}


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (UncleError("no such thing"), 2, "error: no such thing\n"),
        (KeyboardInterrupt(), 130, "interrupted: go on\n"),
    ],
)
def test_exit_codes(error, code, told, capsys):
    def command():
        raise error

    assert exit_code(command, "go on") == code
    assert capsys.readouterr().err == told
    assert exit_code(lambda: 1, "go on") == 1


def test_other_errors_are_not_hidden():
    with pytest.raises(ZeroDivisionError):
        exit_code(lambda: 1 // 0, "go on")


def test_importing_it_imports_no_jax():
    code = "import sys, uncle_jax.cli.arguments; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
