"""The picture of audits: a point for each task and seed."""

import pytest
from matplotlib.figure import Figure
from reporting import add_findings, audited_rows, probes, write_audit, write_run

from uncle_jax.report.audit import audited
from uncle_jax.report.figures import audits
from uncle_jax.report.figures.audits import plot_audits, plot_tradeoff
from uncle_jax.report.results import read_run


@pytest.mark.parametrize("never", [([40, 20], [35, 42]), ()])
def test_every_task_and_seed_is_a_point(tmp_path, monkeypatch, never):
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k))
    )
    folder = write_audit(write_run(tmp_path / "a", seeds=(0, 1)), unlearned=[90, 20], never=never)
    rows = audited(read_run(folder)[0])
    plot_audits(tmp_path / "audit.png", rows)
    assert (tmp_path / "audit.png").stat().st_size > 1000
    search, relearning = figures[0].axes
    points = [[float(y) for y in line.get_ydata()] for line in search.lines[:4]]
    assert points == [[90, 90], [], [95, 95], [max(n) for _ in (0, 1) for n in never]]
    assert len(search.lines) == 4 + 2 * bool(never)  # the level of each seed
    (first, later, diagonal) = relearning.lines
    assert list(map(float, first.get_xdata())) == [50, 51]
    assert list(map(float, first.get_ydata())) == [60, 61]
    assert not len(later.get_xdata())
    assert "+10.0" in first.get_label()
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata())


def test_a_row_is_a_point_of_the_tradeoff(tmp_path, monkeypatch):
    figures = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *a, **k: (figures.append(self), save(self, *a, **k))
    )
    runs = []
    for name, unlearned in (("a", [90, 80]), ("b", [90, 20])):
        told = {"changes": {"gamma": 1.0 if name == "a" else 2.0}}
        folder = write_run(tmp_path / name, seeds=(0, 1), ra=70.0, told=told)
        runs += read_run(write_audit(folder, unlearned=unlearned))[0]
    plot_tradeoff(tmp_path / "tradeoff.png", audited(runs))
    left, right = figures[0].axes
    at = [tuple(float(v[0]) for v in line.get_data()) for line in left.lines]
    assert sorted(at) == [(70.5, 50.0), (70.5, 100.0)]
    assert not right.lines  # nobody relearned a new task


def test_curves_are_means_of_each_state_with_the_seeds_extremes(tmp_path, monkeypatch):
    (one,) = audited_rows(tmp_path)
    for audit in one.audits.values():
        audit["found"].clear()
        audit["settings"]["relearning"] |= {"examples": [10], "steps": [5, 20]}
    values = {"run": 40.0, "kept": 60.0}
    relearned = {
        state: lambda seed, v=v: {"accuracy": [[v, v + seed, 90.0]], "few": [[[v, v + 2 * seed]]]}
        for state, v in values.items()
    }
    add_findings(one, "relearning", relearned)
    add_findings(one, "representation", probes(94.0, 80.0, 97.0))
    figures = []
    monkeypatch.setattr(audits, "save", lambda figure, path, dpi: figures.append(figure))
    audits.plot_curves(tmp_path / "curves.png", one)
    (figure,) = figures
    drawn = {axes.get_title(): axes for axes in figure.axes if axes.get_title()}
    assert list(drawn) == [
        "relearned from 10 images",
        "relearned from all images",
        "linear probe",
        "CKA with kept",
        "line from never",
    ]
    few = drawn["relearned from 10 images"]
    assert [label.get_text() for label in few.get_xticklabels()] == ["5", "20"]
    curves = {line.get_label(): list(line.get_ydata()) for line in few.lines}
    assert curves == {"unlearned": [40, 42], "kept": [60, 62]}
    assert len(drawn["linear probe"].lines) == 3
    assert not drawn["line from never"].lines  # that attack was not made
