"""Runs read back from their files."""

import math

import pytest
from reporting import write_audit, write_run

from uncle_jax.errors import UncleError
from uncle_jax.report.results import read_run, relearn_advantage


def test_unfinished_runs_are_named(tmp_path):
    done = write_run(tmp_path / "a", seeds=(0, 1))
    write_run(tmp_path / "half", answered=3)
    (done / "seed2").mkdir()
    (done / "seed1" / "metrics.csv").write_bytes(
        (tmp_path / "half" / "seed0" / "metrics.csv").read_bytes()
    )
    runs, skipped = read_run(done)
    assert [run.seed for run in runs] == [0]
    assert [line.split(" ")[0] for line in skipped] == [str(done / "seed1"), str(done / "seed2")]
    (done / "summary.json").unlink()
    runs, skipped = read_run(done)
    assert (runs, len(skipped)) == ([], 1)


def test_a_seed_that_the_summary_does_not_know_is_not_finished(tmp_path):
    folder = write_run(tmp_path, seeds=(0, 1), summary={"RA": {"per_seed": {"0": 1}}})
    runs, skipped = read_run(folder)
    assert [run.seed for run in runs] == [0]
    assert skipped == [f"{folder / 'seed1'} is not finished"]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("seed0/config.json", '"method"', '"metod"'),
        ("seed0/config.json", "{", ""),
        ("seed0/config.json", "L0 L1 U0 L2", "L1 L0 U0 L2"),
        ("seed0/metrics.csv", "\n2,U,0,1,", "\n2,U,0,7,"),
        ("seed0/metrics.csv", "evaluated_task", "seen"),
        ("seed0/metrics.csv", "90.0000", "high"),
        ("summary.json", "per_seed", "seeds"),
        ("summary.json", "{", ""),
    ],
)
def test_damage_is_one_line(tmp_path, file, old, new):
    folder = write_run(tmp_path)
    path = folder / file
    text = path.read_bytes().decode().replace("\r\n", "\n")
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(UncleError) as error:
        read_run(folder)
    assert "\n" not in str(error.value)
    assert str(tmp_path) in str(error.value)


def test_the_relearn_advantage_is_over_the_control(tmp_path):
    run = write_run(tmp_path / "a")
    assert math.isnan(read_run(run)[0][0].metrics["relearn"]), "nothing was audited"
    write_audit(run, relearned={"run": 60.0, "swapped": 52.5, "never": 55.0})
    assert read_run(run)[0][0].metrics["relearn"] == pytest.approx(7.5)
    write_audit(run, relearned={"run": 60.0, "never": 55.0})
    assert math.isnan(read_run(run)[0][0].metrics["relearn"]), "there is no control"
    assert math.isnan(relearn_advantage({"settings": {"relearning": {"epochs": [2.0]}}}))
