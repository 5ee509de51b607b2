"""Audits as tables: what counts as found, and against what."""

from pathlib import Path

import pytest
from reporting import write_audit, write_run

from uncle_jax.report import audit as report
from uncle_jax.report import verdicts
from uncle_jax.report.formats import as_terminal
from uncle_jax.report.results import read_run

RESULTS = Path(__file__).resolve().parents[2] / "results"


def rows(tmp_path, **more):
    folder = write_audit(write_run(tmp_path / "a", seeds=(0, 1)), **more)
    return report.audited(read_run(folder)[0])


def test_runs_without_an_audit_are_no_rows(tmp_path):
    folder = write_run(tmp_path / "a")
    assert report.audited(read_run(folder)[0]) == []


def test_found_is_what_is_above_every_start_on_never_learned_tasks(tmp_path):
    (one,) = rows(tmp_path, unlearned=[90, 41, 30], never=([40, 20, 10], [35, 42, 10]))
    assert report.level(one, 0) == 42
    told = report.searched(one, "unlearned")
    assert (told.cases, told.back, told.best, told.most) == (2, 2, 90, 90)
    assert told.share == pytest.approx(1 / 3)
    # a never-learned task is held against the others: 42 is above 40, and no start of the first is
    told = report.searched(one, "never")
    assert (told.cases, told.back) == (4, 2)
    assert told.share == pytest.approx(1 / 6)


def test_without_a_reference_nothing_counts_as_found(tmp_path):
    (one,) = rows(tmp_path, unlearned=[90, 41, 30], never=())
    told = report.searched(one, "unlearned")
    assert (told.cases, told.back, told.share, told.best) == (2, 0, None, 90)
    text = as_terminal(report.search_table([one]))
    assert "unlearned, learned first" in text
    assert "never learned (reference)" not in text


def test_a_search_can_be_paired_with_one_where_the_task_never_was(tmp_path):
    (one,) = rows(tmp_path, unlearned=[90, 41, 30])
    assert "minus never" not in report.search_table([one]).head
    for seed, audit in one.audits.items():
        (found,) = (f for _, f in one.found("embedding search", "unlearned") if _ == seed)
        piece = found["piece"] | {"state": "never"}
        audit["found"].append(found | {"piece": piece, "accuracy": [20, 70 + 2 * seed, 1]})
    table = report.search_table([one])
    assert table.head[-1] == "minus never"
    gains = {line[1]: line[-1] for line in table.body}
    assert gains.pop("unlearned, learned first") == "+19.0 ± 1.4"
    assert set(gains.values()) == {"-"}


def test_the_head_start_is_paired_by_task_and_seed(tmp_path):
    (one,) = rows(tmp_path, relearned={"run": 60.0, "swapped": 50.0, "never": 55.0})
    assert report.relearned(one, "unlearned") == {(0, 0): 60, (1, 0): 61}  # + 1 a seed
    assert report.advantage(one, "swapped", lambda place: place == 0) == ("+10.0 ± 0.0", 2)
    assert report.advantage(one, "never", lambda place: place == 0) == ("+5.0 ± 0.0", 2)
    assert report.advantage(one, "swapped", lambda place: place != 0) == ("-", 0)
    lines = as_terminal(report.relearning_table([one])).splitlines()
    (line,) = (line for line in lines if "learned first" in line)
    assert "60.5 ± 0.7" in line
    assert line.count("+10.0") == line.count("+5.0") == 1


def test_the_price_is_of_the_audited_seeds(tmp_path):
    folder = write_audit(write_run(tmp_path / "a", seeds=(0, 1), ra=80, spill=-2.0))
    (folder / "seed1" / "audit.json").unlink()
    (one,) = report.audited(read_run(folder)[0])
    assert report.worst_loss(one.row.runs[0]) == 2  # task 1, when 0 is unlearned
    (line,) = report.price_table([one]).body
    assert line[1:] == ["0", "80.00", "10.00", "2.00", "0.00", "2.00", "-", "2.0"]


@pytest.mark.parametrize(
    ("values", "signed", "told"),
    [
        ([], False, "-"),
        ([1.0, float("nan")], False, "-"),
        ([3.0], True, "+3.0"),
        ([1.0, 3.0], False, "2.0 ± 1.4"),
    ],
)
def test_a_spread_needs_two(values, signed, told):
    assert report.spread(values, signed) == told


@pytest.mark.parametrize(
    ("folder", "label"),
    [
        ("audit", "uncle adversary_noise=1 fresh_noise=1"),
        ("verdicts", "never"),
        ("held", "uncle dead=redraw hold=solved"),
    ],
)
def test_the_committed_audits_can_be_read(folder, label):
    """The tables and pictures of docs/ are made from these files alone."""
    runs = [run for one in sorted((RESULTS / folder).iterdir()) for run in read_run(one)[0]]
    rows = report.audited(runs)
    assert {row.row.label for row in rows} >= {"uncle", label}
    for row in rows:
        assert len(row.audits) == len(row.row.runs)
        assert all(audit["complete"] for audit in row.audits.values())
        assert all(table.body for table in verdicts.tables([row]))


def test_where_every_task_was_learned_the_reference_is_the_task_itself_where_it_never_was(tmp_path):
    (one,) = rows(tmp_path, never=())
    assert report.never_found(one) == []
    for audit in one.audits.values():
        first = audit["found"][0]
        piece = first["piece"] | {"state": "never"}
        audit["found"].append(first | {"piece": piece, "accuracy": [12.0, 30.0]})
    assert report.level(one, 0) == 30


@pytest.mark.parametrize(
    ("attack", "values", "told"),
    [
        ("relearning", {"accuracy": [[1, 2], [3, 4]]}, "2.0, 3.0"),
        ("embedding search", {"accuracy": [12.4, 90.6]}, "91 12"),
        ("representation", {"layers": ["a", "b"], "probe": [None, 50.0]}, "a -, b 50.0"),
        ("weights", {"share": 0.5, "accuracy": [1, 9]}, "50.0 % of the way to kept; 9.0 at best"),
        ("rounding", {"accuracy": [None, 5.0]}, "-, 5.0"),
        ("margins", {"members": [1, 3], "others": [-1.0]}, "members +2.00, of others -1.00"),
    ],
)
def test_a_finding_in_a_line(attack, values, told):
    assert told in report.headline({"piece": {"attack": attack}, **values})
