"""What the page of uncle report says."""

import pytest
from reporting import write_audit, write_run

from uncle_jax.report.html.content import content
from uncle_jax.report.results import read_run

SEQUENCE = "L1 L0 U1 L5 L8 L9 L7 U0 L2 L3 L4 U8 U3 U5 L6"


def made(*folders):
    return content([run for folder in folders for run in read_run(folder)[0]])


@pytest.fixture
def part(tmp_path):
    ssd = {"changes": {"ssd.alpha": 30.0}, "commit": "abc", "device": {"kind": "cpu", "cpus": 2}}
    return made(
        write_run(tmp_path / "uncle", seeds=(0, 1), requests=SEQUENCE),
        write_run(tmp_path / "ssd", "ssd", seeds=(0,), ra=80.0, requests=SEQUENCE, told=ssd),
    )[0]


def test_the_question_names_what_was_asked(part):
    assert part.question.startswith("10 tasks are learned and 5 of them unlearned again")
    assert "2 methods and 2 seeds" in part.question


def test_cells_tell_each_seed_and_names_lead_to_their_origin(part):
    names = [line[0].text for line in part.results.body]
    assert names == ["ssd alpha=30", "uncle"]
    column = part.results.head.index("RA")
    uncle = part.results.body[1]
    assert (uncle[column].text, uncle[column].title) == (
        "90.50 ± 0.71",
        "seed 0: 90.00; seed 1: 91.00",
    )
    assert uncle[part.results.head.index("RA (paper)")].text == "62.65 ± 3.85"
    assert [line[0].anchor for line in part.results.body] == [one.anchor for one in part.origins]


def test_a_rows_origin_is_the_command_that_repeats_it(part):
    ssd = part.origins[0]
    words = "uncle run --dataset cifar100 --preset laptop --method ssd --set ssd.alpha=30"
    assert ssd.command == f"{words} --seq 1 --seeds 0"
    assert dict(ssd.facts)["commit"] == "abc"
    assert dict(ssd.facts)["device"] == "cpu, 2 cores"


def test_what_does_not_match_is_said(part):
    told = " | ".join(part.amiss)
    assert "not in the paper's setting" in told
    assert "ssd alpha=30: seeds 1 were not run" in told
    assert "of the paper's table not run: ft, rt, badteacher" in told
    assert "nothing was attacked" in told


def test_figures_and_streams(part):
    assert part.figures[0].title.startswith("Every task's accuracy")
    assert len(part.figures) == 3, "no run measured the size of phi"
    assert "uncle, task 1, L1: 90" in part.figures[0].svg
    stream = part.streams[1]
    assert (stream.name, list(stream.tasks)) == ("uncle", list(range(10)))
    request, cells = stream.lines[2]
    assert request == "U1"
    assert [cells[task][1] for task in (0, 1, 2)] == ["kept", "gone", "unseen"]


def test_differences_need_two_seeds(tmp_path):
    one = made(write_run(tmp_path / "a"), write_run(tmp_path / "b", "ssd"))[0]
    assert one.differences is None
    both = {"seeds": (0, 1)}
    two = made(write_run(tmp_path / "c", **both), write_run(tmp_path / "d", "ssd", **both))[0]
    assert two.differences.title == "Each less uncle, seed by seed"
    assert two.differences.body[0][0].text == "ssd"


def test_an_audit_has_its_tables(tmp_path):
    part = made(write_audit(write_run(tmp_path / "a", seeds=(0, 1, 2))))[0]
    assert any(table.title.startswith("embedding search") for table in part.audits)
    assert not any("attacked" in line for line in part.amiss)


def test_runs_that_cannot_be_compared_are_parts_of_their_own(tmp_path):
    parts = made(
        write_run(tmp_path / "a"),
        write_run(tmp_path / "b", requests="L0 U0 L1"),
    )
    assert [part.anchor for part in parts] == ["g0", "g1"]
