"""The GPU's benchmark, all of it, on a CPU at toy size."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import command_of

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


def test_all_of_it_runs_on_a_cpu_and_is_not_run_again(tmp_path):
    words = [sys.executable, SCRIPT, "--out", tmp_path, "--toy", "--peak-tflops", "0.1"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert found.keys() == command_of(SCRIPT).SLICES.keys()
    assert found["correct"]["met"]
    assert max(found["correct"]["relative_errors"].values()) < 1e-3
    (row,) = found["resnet50-bfloat16"]["rows"]
    assert row["unlearn_step"] > 0
    assert row["unlearn_share_of_peak"] > 0
    assert 0 < found["run"]["summary"]["RA"]["mean"] < 100
    for one in found.values():
        assert one["toy"]
        assert one.get("versions") or one["config"]["versions"]
    again = subprocess.run(words, capture_output=True, text=True, check=True)
    assert again.stdout == done.stdout
    assert not again.stderr


def answer(scale=1.0):
    requests = {"learn": [1.0], "unlearn": [2.0], "logits": [3.0 * scale]}
    drift = {"with_policy": [[1.0]], "without_policy": [[2.0]], "float64": [[1.0]]}
    return {"by_one": requests, "scanned": requests, **drift}


@pytest.mark.parametrize(("scale", "code"), [(1.0, 0), (1.1, 1)])
def test_a_device_that_answers_otherwise_is_told(tmp_path, monkeypatch, capsys, scale, code):
    gpu = command_of(SCRIPT)
    told = iter([answer(), answer(scale)])
    monkeypatch.setattr(gpu, "_slice", lambda *_: next(told))
    assert gpu.main(["--out", str(tmp_path), "--only", "correct"]) == code
    assert "logits, scanned" in capsys.readouterr().out


def test_what_there_is_no_time_for_is_left_and_named(tmp_path, capsys):
    gpu = command_of(SCRIPT)
    assert gpu.main(["--out", str(tmp_path), "--minutes", "0", "--only", "run", "correct"]) == 1
    assert "run correct" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
