"""Differences by seed, their intervals and tests, corrected."""

import numpy as np
import pytest
from reporting import write_run
from scipy import stats

from uncle_jax.report.compare import groups, table_of
from uncle_jax.report.formats import as_latex
from uncle_jax.report.paired import paired, two_sided
from uncle_jax.report.results import read_run


def read(*folders):
    (group,) = groups(run for folder in folders for run in read_run(folder)[0])
    return group


def test_two_sided_is_the_paired_t_test():
    ours, theirs = np.array([50.1, 52.3, 49.0, 55.5]), np.array([48.0, 51.9, 47.7, 50.1])
    expected = stats.ttest_rel(ours, theirs).pvalue
    assert two_sided([*(ours - theirs)]) == pytest.approx(expected)
    assert two_sided([*(theirs - ours)]) == pytest.approx(expected)
    assert two_sided([0.0, 0.0]) == 1.0
    assert two_sided([3.0]) == 1.0


def test_seeds_in_common_and_no_others(tmp_path):
    ours = write_run(tmp_path / "uncle", seeds=(0, 1, 2), ra=90)
    theirs = write_run(tmp_path / "ssd", method="ssd", seeds=(1, 2, 3), ra=80, fa=30)
    table = paired(read(ours, theirs), ("RA", "FA"), "uncle")
    assert table is not None
    assert table.head == ["method", "seeds in common", "RA", "FA from chance"]
    # RA grows by 1 from seed to seed of a run: 80 on seed 1 against 91, so each difference is -11
    assert table.body == [
        ["ssd", "1 2", "-11.00 [-11.00, -11.00] p 0.000", "+20.00 [+20.00, +20.00] p 0.000"]
    ]
    assert table.marked == {(0, 2), (0, 3)}
    assert "corrected for 2 differences" in table.notes[1]


def test_one_seed_is_a_difference_and_no_test(tmp_path):
    runs = [write_run(tmp_path / name, method=name) for name in ("uncle", "ssd")]
    table = paired(read(*runs), ("RA",), "uncle")
    assert table is not None
    assert table.body[0][2] == "+0.00"
    assert not table.marked


def test_what_is_undefined_or_not_finite_is_not_compared(tmp_path):
    ours = write_run(tmp_path / "uncle", seeds=(0, 1))
    none = write_run(tmp_path / "clpu", method="clpu", seeds=(0, 1))
    broken = write_run(tmp_path / "jit", method="jit", seeds=(0, 1), ra=float("nan"))
    table = paired(read(ours, none, broken), ("RA", "FA"), "uncle")
    assert table is not None
    assert {line[0]: line[2:] for line in table.body}["jit"] == ["-", "-"]
    assert {line[0]: line[3] for line in table.body}["clpu"] == "-"


def test_sizes_are_not_tested(tmp_path):
    runs = [write_run(tmp_path / name, method=name, seeds=(0, 1)) for name in ("uncle", "ssd")]
    table = paired(read(*runs), ("RA", "MB_kept", "MB_read"), "uncle")
    assert table is not None
    assert table.head == ["method", "seeds in common", "RA"]


def test_without_the_row_there_is_no_table(tmp_path):
    assert paired(read(write_run(tmp_path / "ssd", method="ssd")), ("RA",), "uncle") is None


def test_a_papers_table_states_the_test_and_has_a_label_of_its_own(tmp_path):
    ours = write_run(tmp_path / "uncle", seeds=(0, 1, 2), ra=90)
    group = read(ours, write_run(tmp_path / "ssd", method="ssd", seeds=(0, 1, 2), ra=80))
    table = paired(group, ("RA",), "uncle")
    assert table is not None
    mine, text = as_latex(table_of(group, ["RA"])), as_latex(table)
    assert "p of a two-sided paired t-test, corrected (Holm).}" in text
    assert "sample standard deviation over seeds.}" in mine
    labels = [line for one in (mine, text) for line in one.splitlines() if "label{" in line]
    assert labels[1] == labels[0].replace("}", "-against-uncle}")
