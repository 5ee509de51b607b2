"""What a step costs by tasks retained, as a picture."""

import json
from pathlib import Path

import pytest

from uncle_jax.errors import UncleError
from uncle_jax.report.figures.cost import costs, plot_cost

RESULTS = Path(__file__).resolve().parents[3] / "benchmarks" / "results"


def test_of_steps_the_first_number_of_slots_counts():
    rows = [
        {"slots": slots, "retained": n, "plain_ms": 1.0, "learn_ms": 2.0 * slots, "unlearn_ms": n}
        for slots, n in ((2, 1), (1000, 1), (10, 4))
    ]
    found = costs({"rows": rows})
    assert found["learn step"] == [(1, 0.004), (4, 0.02)]
    assert found["unlearn step"] == [(1, 0.001), (4, 0.004)]


def test_each_subject_is_a_line():
    rows = [{"subject": "unlearn", "T": n, "seconds": 0.1 * n} for n in (5, 1)]
    assert costs({"rows": rows}) == {"unlearn": [(1, 0.1), (5, 0.5)]}


@pytest.mark.parametrize("read", [{}, {"rows": [{"subject": "unlearn"}]}, {"rows": [3]}, []])
def test_another_file_is_told(read):
    with pytest.raises(UncleError, match="no file of benchmarks/retained"):
        costs(read)


@pytest.mark.parametrize("name", ["retained_cpu.json", "steps_resnet18_cpu.json"])
def test_the_committed_files_are_drawn(name, tmp_path):
    plot_cost(tmp_path / "a.svg", costs(json.loads((RESULTS / name).read_text())))
    svg = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert "tasks: " in svg
    assert "tasks retained" in svg
