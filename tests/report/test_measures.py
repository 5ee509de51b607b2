"""What attacks measured: what counts, and against what."""

import numpy as np
import pytest
from reporting import add_findings, audited_rows, probes

from uncle_jax.evaluation.audit.verdict import BLIND, LEAK, WITHIN
from uncle_jax.report import measures, verdicts

COUNTED = ("epsilon against never", "KLoM against never")


def named(one):
    return {row.name: row for row in measures.measured(one)}


def test_a_gap_is_to_the_same_task_where_it_never_was_and_power_to_where_it_still_is(tmp_path):
    (one,) = audited_rows(tmp_path)
    add_findings(one, "representation", probes(94.0, 80.0, 97.0))
    row = named(one)["linear probe, last layer (%)"]
    assert (row.gap.mean, row.power.mean, row.verdict) == (15, 17, LEAK)
    assert named(one)["CKA with kept, last layer"].kept == pytest.approx(97)


def test_within_the_reference_and_blind(tmp_path):
    (one,) = audited_rows(tmp_path)
    add_findings(one, "representation", probes(79.0, 80.0, 97.0))
    assert named(one)["linear probe, last layer (%)"].verdict == WITHIN
    (other,) = audited_rows(tmp_path / "b")
    add_findings(other, "representation", probes(79.0, 80.0, 80.0))
    assert named(other)["linear probe, last layer (%)"].verdict == BLIND


def test_retained_tasks_show_power_where_the_kept_state_shows_none(tmp_path):
    (one,) = audited_rows(tmp_path, unlearned=[20.0, 30.0])
    values = {"never": [30.0, 25.0], "kept": [31.0, 20.0]}
    states = {state: lambda seed, v=v: {"accuracy": v} for state, v in values.items()}
    add_findings(one, "embedding search", states)
    row = named(one)["embedding search, best start (%)"]
    assert (row.kept, row.power.mean, row.verdict) == (95, 65, WITHIN)  # task 1, retained
    for audit in one.audits.values():
        audit["found"] = [f for f in audit["found"] if f["piece"]["role"] != "retained"]
    row = named(one)["embedding search, best start (%)"]
    assert (row.kept, row.power.mean) == (31, 1)


def test_tasks_are_averaged_within_a_seed(tmp_path):
    (one,) = audited_rows(tmp_path)
    for task, value in ((0, 90.0), (1, 70.0)):
        states = {
            s: lambda seed, v=v: {"accuracy": [v, v - 9]}
            for s, v in (("run", value), ("never", 10.0), ("kept", 95.0))
        }
        add_findings(one, "rounding", states, task)
    row = named(one)["rounded, best (%)"]
    assert (row.unlearned, row.reference, row.gap.seeds) == (80, 10, 3)


def test_relearning_is_held_against_the_control_where_there_is_one(tmp_path):
    (one,) = audited_rows(
        tmp_path, relearned={"run": 60.0, "swapped": 50.0, "never": 30.0, "kept": 80.0}
    )
    row = named(one)["relearning, all images (%)"]
    assert row.gap.mean == pytest.approx(10 / 3)  # over three points, of which one differs
    (other,) = audited_rows(tmp_path / "b", relearned={"run": 60.0, "never": 30.0, "kept": 80.0})
    assert named(other)["relearning, all images (%)"].gap.mean == pytest.approx(10)


def test_few_images_are_measures_of_their_own(tmp_path):
    (one,) = audited_rows(tmp_path)
    for audit in one.audits.values():
        audit["found"].clear()
        audit["settings"]["relearning"]["examples"] = [10, 50]
    few = {
        state: lambda seed, v=v: {"accuracy": [[1.0]], "few": [[[v, v + 2], [v + 30, v + 32]]]}
        for state, v in (("run", 40.0), ("never", 20.0), ("kept", 60.0))
    }
    add_findings(one, "relearning", few)
    found = named(one)
    assert found["relearning, 10 images (%)"].unlearned == 41
    assert found["relearning, 50 images (%)"].unlearned == 71


def margins_of(never, run, kept, images=40):
    """Margins around what each state has, of members and of others."""

    def found(middle, salt):
        def of(seed):
            rng = np.random.default_rng([seed, salt])
            members, others = middle + rng.normal(size=(2, images))
            told = {"members": members.tolist(), "others": (others - (middle > 2) / 2).tolist()}
            return {**told, "retained": {"train": 90.0, "test": 80.0 if salt == 1 else 100.0}}

        return of

    return {"never": found(never, 0), "run": found(run, 1), "kept": found(kept, 2)}


def test_margins_are_compared_over_seeds(tmp_path):
    (one,) = audited_rows(tmp_path, seeds=tuple(range(8)))
    add_findings(one, "margins", margins_of(-2.0, -2.0, 4.0))
    found = named(one)
    lira = found["U-LiRA, AUC against never (%)"]
    assert lira.reference == 50
    assert abs(lira.gap.mean) < 5
    assert lira.power.low > 45
    assert {
        name: found[name].verdict
        for name in ("U-LiRA, AUC against never (%)", "epsilon against never", "KLoM against never")
    } == {
        "U-LiRA, AUC against never (%)": WITHIN,
        "epsilon against never": WITHIN,
        "KLoM against never": WITHIN,
    }
    assert "RMIA, AUC (%)" in found
    (other,) = audited_rows(tmp_path / "b", seeds=tuple(range(8)))
    add_findings(other, "margins", margins_of(-2.0, 2.0, 4.0))
    assert named(other)["U-LiRA, AUC against never (%)"].verdict == LEAK


def test_f_counts_epsilon_and_what_is_left_of_usefulness(tmp_path):
    (one,) = audited_rows(tmp_path)
    add_findings(one, "margins", margins_of(-2.0, -2.0, 90.0))
    same = one.found("margins", "unlearned", "never")
    for (_, there), (_, run) in zip(same, one.found("margins", "unlearned"), strict=True):
        run["members"] = there["members"]
    told = measures.forgetting_scores(one)
    assert "by 3 models a side" in told
    assert told.endswith("unlearned 0.800, kept 0.000")  # of 100 points, 80 in 100 images


def test_models_are_also_told_from_the_control(tmp_path):
    """Any unlearning may show; what it leaves of this task is told against the control."""
    (one,) = audited_rows(tmp_path, seeds=tuple(range(8)))
    states = margins_of(-2.0, 3.0, 9.0)
    add_findings(one, "margins", states | {"swapped": margins_of(3.0, 0.0, 0.0)["never"]})
    found = named(one)
    assert found["U-LiRA, AUC against never (%)"].verdict == LEAK
    assert found["U-LiRA, AUC against the control (%)"].verdict == WITHIN
    never = [name for name, row in found.items() if row.any_task]
    assert never == ["U-LiRA, AUC against never (%)", *COUNTED]
    counted, _ = verdicts.leaks(list(found.values()))
    assert counted == []  # it would show of any task
    assert found["KLoM against the control"].verdict == WITHIN


def test_few_models_say_nothing_by_counting(tmp_path):
    (one,) = audited_rows(tmp_path, seeds=(0, 1, 2, 3))
    add_findings(one, "margins", margins_of(-2.0, 6.0, 6.0))
    found = named(one)
    assert {found[name].verdict for name in ("epsilon against never", "KLoM against never")} == {
        BLIND
    }
    assert found["epsilon against never"].p == 1
    assert found["U-LiRA, AUC against never (%)"].verdict == LEAK
    (two,) = audited_rows(tmp_path / "b", seeds=(0, 1))
    add_findings(two, "margins", margins_of(-2.0, 6.0, 6.0))
    assert not {"U-LiRA, AUC against never (%)", "epsilon against never"} & named(two).keys()


def test_what_is_not_there_of_every_seed_is_no_measure(tmp_path):
    (one,) = audited_rows(tmp_path)
    add_findings(one, "representation", probes(94.0, 80.0, 97.0))
    one.audits[1]["found"] = [
        f for f in one.audits[1]["found"] if f["piece"]["attack"] != "representation"
    ]
    assert "linear probe, last layer (%)" not in named(one)
