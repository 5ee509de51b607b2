"""What the commands share."""

import re
import subprocess
import sys

import pytest

from uncle_jax.cli.arguments import (
    Parser,
    add_data,
    add_settings,
    chosen_settings,
    exit_code,
    set_changes,
    setting,
)
from uncle_jax.config import Config
from uncle_jax.errors import UncleError


def test_settings_of_the_run_and_of_each_method():
    p = Parser()
    add_data(p)
    add_settings(p)
    args = p.parse_args(["--batch-size", "9", "--set", "ssd.alpha=3", "--burn-in", "7"])
    config, own = chosen_settings(args, Config(), ["ssd", "uncle", "hnet"])
    assert config == Config(batch_size=9)
    assert own == {"ssd": {"alpha": "3"}, "uncle": {"burn_in": "7"}, "hnet": {}}


def test_a_bare_setting_goes_to_each_method_that_has_it():
    assert set_changes(["alpha=3", "lr=1"], Config(), ["ssd"]) == (
        Config(lr=1.0), {"ssd": {"alpha": "3"}},
    )  # fmt: skip
    both = set_changes(["beta=2"], Config(), ["uncle", "hnet", "ssd"])[1]
    assert both == {"uncle": {"beta": "2"}, "hnet": {"beta": "2"}, "ssd": {}}


@pytest.mark.parametrize(
    ("item", "told"),
    [
        ("alhpa=3", "unknown setting of ssd: 'alhpa'; did you mean 'alpha'?"),
        ("gamma=3", "unknown setting of ssd: 'gamma'"),
        ("alpha", "'alpha' is not KEY=VALUE"),
    ],
)
def test_a_setting_of_nobody_is_refused(item, told):
    with pytest.raises(UncleError, match=re.escape(told)):
        set_changes([item], Config(), ["ssd"])


def test_a_setting_of_ones_own_method_is_named_by_its_function():
    item = "nearest.k=3"
    assert setting(item, ["ssd", "a.py:nearest"], "--set") == ("a.py:nearest", "k", "3")
    with pytest.raises(UncleError, match="of method nearest, not of ssd"):
        setting(item, ["ssd"], "--set")


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
