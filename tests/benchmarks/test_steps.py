"""The steps' benchmark: that every subject steps, and what its table and picture say."""

import json
from pathlib import Path

import pytest
from conftest import command_of

from uncle_jax.report.figures.cost import costs

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script():
    return command_of(ROOT / "benchmarks" / "steps.py")


def test_every_subject_of_ours_is_timed(script):
    wanted = ["learn", "unlearn", "plain", "begin", "evaluate", "unlearn-exact"]
    rows = script.case("toy", 1, wanted, 1)
    assert [row["subject"] for row in rows] == wanted
    for row in rows:
        assert row["seconds"] > 0
        assert row["first_seconds"] > row["seconds"] or row["subject"] in ("begin", "evaluate")


def test_a_table_has_ratios_with_what_was_measured_beside(script):
    times = {"learn": 2.0, "plain": 1.0, "hypnettorch-learn": 6.0, "unlearn": 1.0}
    rows = [
        {"subject": name, "T": t, "seconds": s * t, "cpu_seconds": s}
        for name, s in times.items()
        for t in (1, 5)
        if (name, t) != ("hypnettorch-learn", 5)
    ]
    rows.append({"subject": "learn", "T": 5, "peak_mb": 321.0})
    text = script.table(rows)
    lines = {line.split("  ")[0]: line.split() for line in text.splitlines()}
    assert lines["learn / plain"][-4:] == ["2.00", "(2.00)", "2.00", "(2.00)"]
    assert lines["hypnettorch-learn / learn"][-3:] == ["3.00", "(3.00)", "-"]
    assert "peak memory, T = 5, learn: 321 MB" in text
    assert "unlearn / " not in text
    found = costs({"rows": rows})
    assert found["learn"] == [(1, 2.0), (5, 10.0)]
    assert found["hypnettorch-learn"] == [(1, 6.0)]


def test_cases_that_a_file_has_are_not_run_again(script, tmp_path, monkeypatch, capsys):
    asked = []

    def run(args, *words):
        asked.append(words)
        if "--memory" in words:
            t, subject = int(words[1]), words[-1]
            return [{"network": "toy", "T": t, "subject": subject, "peak_mb": 1.0}]
        names = words[words.index("--subjects") + 1 :]
        row = {"network": "toy", "T": int(words[1]), "seconds": 1.0, "cpu_seconds": 1.0}
        return [row | {"subject": name} for name in names]

    monkeypatch.setattr(script, "run", run)
    out = tmp_path / "a.json"
    words = ["--network", "toy", "--no-peers", "--out", str(out), "--tasks"]
    assert script.main([*words, "1"]) == 0
    assert len(asked) == 3  # times, and two peaks
    assert script.main([*words, "1", "5"]) == 0
    assert len(asked) == 6
    assert {row["T"] for row in json.loads(out.read_text())["rows"]} == {1, 5}
    assert "learn / plain" in capsys.readouterr().out
