"""The paper's claims, as tests on rows."""

import json
import math

import pytest
from reporting import write_run

from uncle_jax.report.compare import groups
from uncle_jax.report.results import read_run
from uncle_jax.studies.claims import (
    ALONE,
    FAILS,
    HOLDS,
    IN_PART,
    NOT_RUN,
    OPEN,
    Told,
    above,
    all_near,
    best,
    falling,
    near,
    remaining,
    stays,
    together,
)


@pytest.fixture
def row(tmp_path):
    """A row of runs, one a seed, with the RA given for each; `more` as write_run has it."""
    made = []

    def make(*accuracies, **more):
        folder = tmp_path / str(len(made))
        for seed, ra in enumerate(accuracies):
            write_run(folder, seeds=(seed,), ra=ra, **more)
            times = {"unlearn_seconds": [2.0], "learn_seconds": [1.0], "wall_seconds": 60.0}
            (folder / f"seed{seed}" / "times.json").write_text(json.dumps(times))
        made.append(folder)
        runs, _ = read_run(folder)
        return groups(runs)[0].rows[0]

    return make


def test_a_difference_is_told_by_its_interval(row):
    high, low = row(90.0, 91.0, 90.5), row(80.0, 81.2, 80.4)
    told = above("ours", "theirs", "RA")({"ours": high, "theirs": low})
    assert told.verdict == HOLDS
    assert told.words == "ours less theirs, RA: +9.97 [+9.59, +10.35]"
    assert above("ours", "theirs", "RA")({"ours": low, "theirs": high}).verdict == FAILS
    noisy = row(95.0, 80.0, 90.0)
    assert above("ours", "theirs", "RA")({"ours": noisy, "theirs": high}).verdict == OPEN


def test_one_seed_decides_nothing_and_none_is_not_run(row):
    one, other = row(90.0), row(50.0)
    told = above("a", "b", "RA")({"a": one, "b": other})
    assert told == Told(ALONE, "a less b, RA: +40.00, one seed")
    assert near("a", "RA", 90.0, 1.0)({"a": one}).verdict == ALONE
    assert stays("a", 5.0)({"a": one}).verdict == ALONE
    assert best("a", "RA")({"a": one, "b": other}).verdict == ALONE
    for claim in (above("a", "c", "RA"), best("c", "RA"), near("c", "RA", 1, 1), stays("c", 1)):
        assert claim({"a": one, "b": other, "c": None}).verdict == NOT_RUN
    assert near("a", "MIA_confidence", 50.0, 1.0)({"a": one}).verdict == NOT_RUN, "not measured"


def test_the_best_is_held_against_every_other(row):
    rows = {"ours": row(90.0, 91.0, 90.5), "a": row(80.0, 81.2, 80.4), "b": row(89.9, 91.1, 90.5)}
    told = best("ours", "RA")(rows)
    assert (told.verdict, told.words) == (OPEN, "RA: better than 1 of 2; not told from b")
    assert best("ours", "RA", less=5.0)(rows).verdict == HOLDS
    assert best("a", "RA")(rows).verdict == FAILS
    assert "worse than ours" in best("a", "RA")(rows).words


def test_a_broken_row_is_not_held_against_the_best(row):
    rows = {"ours": row(90.0, 91.0, 90.5, spill=2.0), "broken": row(10.0, 10.0, 10.0), "c": None}
    assert best("ours", "spill", lowest=True)(rows).verdict == NOT_RUN
    rows["other"] = row(90.0, 91.0, 90.5, spill=5.0)
    told = best("ours", "spill", lowest=True)(rows)
    assert (told.verdict, told.words) == (
        HOLDS,
        "spill: better than 1 of 1; broken: broken; not run: c",
    )


def test_near_is_a_matter_of_the_whole_interval(row):
    rows = {"a": row(90.0, 90.5, 90.2), "b": row(80.0, 95.0, 89.0), "c": row(70.0, 70.5, 70.2)}
    verdicts = [near(name, "RA", 90.0, 2.0)(rows).verdict for name in "abc"]
    assert verdicts == [HOLDS, OPEN, FAILS]
    told = all_near("RA", 90.0, 2.0)(rows)
    assert told == Told(FAILS, "RA within 2 of 90: 1 of 3; outside: c; not told: b")


def test_fa_is_measured_from_chance(row):
    guess, below = row(90.0, 91.0, fa=10.5), row(90.0, 91.0, fa=3.0)
    assert near("a", "FA", 0.0, 2.0)({"a": guess}).verdict == HOLDS
    assert near("a", "FA", 0.0, 2.0)({"a": below}).verdict == FAILS, "as far below as above"
    assert "+7.00" in near("a", "FA", 0.0, 2.0)({"a": below}).words


def test_an_order_holds_whole_or_not(row):
    rows = {"a": row(90.0, 90.5), "b": row(80.0, 80.5), "c": row(70.0, 70.5)}
    assert falling("abc", "RA")(rows).verdict == HOLDS
    assert falling("bac", "RA")(rows).verdict == FAILS
    assert falling("abd", "RA")(rows | {"d": None}).verdict == NOT_RUN


def test_a_task_stays_until_it_is_unlearned(row):
    steady = row(90.0, 91.0, requests="L0 L1 U0 L2", fa=11.0)
    told = stays("a", 5.0)({"a": steady})
    assert told.verdict == HOLDS
    words = "a moved 0.0 points until unlearned; then 1.0 from chance, at the end 1.0"
    assert told.words == f"{words} (mean over 2 seeds)"
    back = row(90.0, 91.0, requests="L0 L1 U0 L2", fa=30.0)
    assert stays("a", 5.0)({"a": back}).verdict == FAILS


def test_what_remains_is_compared_task_by_task(row):
    with_it, without = row(90.0, 91.0, 92.0), row(88.0, 89.1, 90.0)
    told = remaining("a", "b")({"a": with_it, "b": without})
    assert told.verdict == HOLDS
    assert told.words.startswith("2 of 2 tasks end higher")
    assert remaining("a", "b")({"a": without, "b": with_it}).verdict == FAILS


@pytest.mark.parametrize(
    ("told", "one"),
    [
        ([], NOT_RUN),
        ([NOT_RUN, NOT_RUN], NOT_RUN),
        ([HOLDS, NOT_RUN], HOLDS),
        ([HOLDS, FAILS], IN_PART),
        ([HOLDS, OPEN], IN_PART),
        ([FAILS, OPEN], FAILS),
        ([OPEN, ALONE], OPEN),
        ([ALONE], ALONE),
    ],
)
def test_several_verdicts_as_one(told, one):
    assert together([Told(verdict, "") for verdict in told]) == one


def test_minus_infinity_is_worse_than_any_number(row):
    rows = {"ours": row(90.0, 91.0), "a": row(90.0, 91.0)}
    for name, values in (("ours", (99.0, 98.0)), ("a", (-math.inf, 97.0))):
        for run, uni in zip(rows[name].runs, values, strict=True):
            run.metrics["UNI"] = uni
    told = best("ours", "UNI")(rows)
    assert told.verdict == NOT_RUN, "nobody is left to be tested against"
    rows["b"] = row(90.0, 91.0)
    for run, uni in zip(rows["b"].runs, (90.0, 89.1), strict=True):
        run.metrics["UNI"] = uni
    told = best("ours", "UNI")(rows)
    assert (told.verdict, told.words) == (HOLDS, "UNI: better than 2 of 2; minus infinity: a")
