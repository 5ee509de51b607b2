"""uncle audit as a user meets it."""

from pathlib import Path

import pytest
from reporting import write_audit, write_run

from uncle_jax.cli import audit, main

OWN = Path(__file__).resolve().parents[2] / "experiments" / "own_method.py"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "no folder nowhere"),
        (["run", "--attacks", "relearn"], "did you mean 'relearning'"),
        (["run", "--format", "csv"], "terminal, markdown, latex"),
        (["run", "--seeds", "7"], "no such seed"),
        (["run", "--starts", "0"], "starts must be at least 1"),
        (["run", "--references", "-1"], "references must not be negative"),
        (["run", "--figure", "no/such/a.png"], "no/such"),
        (["run", "--accept", "mist"], "did you mean 'mnist'"),
        (["run", "--show"], "no run"),
        (["run"], "did you mean 'unlearn_lr'"),
    ],
)
def test_bad_input_is_one_line_and_2(arguments, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = write_run(tmp_path / "run", told={"settings": {"unheard_of": 1}})
    before = sorted(tmp_path.rglob("*"))
    if "--show" in arguments:
        told = "none of these runs has an audit.json"
    assert audit.main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert told in err
    assert sorted(tmp_path.rglob("*")) == before
    assert run.is_dir()


def test_every_attack_has_its_option():
    from uncle_jax.runs.attacks import ATTACKS

    assert tuple(audit.ATTACKS.values()) == ATTACKS


def test_what_is_there_is_shown_and_drawn(tmp_path, capsys):
    folder = write_audit(write_run(tmp_path / "a", seeds=(0, 1)))
    picture = tmp_path / "audit.png"
    words = ["audit", str(folder), "--show", "--format", "markdown", "--figure", str(picture)]
    assert main.main(words) == 0
    out = capsys.readouterr().out
    assert "### embedding search: cifar100, preset laptop, L0 L1 U0 L2" in out
    assert "### relearning" in out
    assert picture.stat().st_size > 1000
    assert audit.main([*words[1:-1], str(tmp_path / "audit.xyz")]) == 2
    assert "audit.xyz" in capsys.readouterr().err
    written = tmp_path / "audit.md"
    assert audit.main([*words[1:], "--output", str(written)]) == 0
    assert written.read_text() == out


@pytest.mark.usefixtures("small_networks")
def test_a_run_is_audited(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["--requests", "L0 L1 U0", "--epochs", "1"]
    for changed in ("burn_in=2", "width=3", "trunk=8", "norm_calibration=0"):
        words += ["--set", changed]
    assert main.main(["run", "--workdir", "w", *words]) == 0
    capsys.readouterr()
    asked = ["audit", "w", "--starts", "2", "--steps", "2", "--references", "1"]
    asked += ["--attacks", "embedding-search"]
    assert main.main(asked) == 0
    out, err = capsys.readouterr()
    assert "w/seed0: 6 attacks" in err
    assert "[6/6] embedding search: task 2 (never): " in err
    assert "retained, withheld (power)" in out
    assert main.main(asked) == 0  # all is there: it is shown again
    again, err = capsys.readouterr()
    assert (again, err) == (out, "")
    page = Path("w/audit.md").read_text()
    assert "| attack | unlearned |" in page
    assert Path("w/audit.png").stat().st_size > 1000
