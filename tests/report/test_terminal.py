"""What a run prints."""

from dataclasses import replace

from uncle_jax.config import Hypernetwork
from uncle_jax.evaluation.answers import Answer
from uncle_jax.report import terminal
from uncle_jax.requests import parse


def test_a_request_is_a_line_under_its_heading():
    (request,) = parse("U1")
    line = terminal.request_line(Answer(6, request, {0: 96.5, 1: 9.25}, 3.14, 1.0), 12, 3)
    assert line == "[ 7/12] U1      3.1 s   96.5   9.2     ."
    head = terminal.header_line(12, 3)
    for task, cell in enumerate(("96.5", "9.2", ".")):
        end = line.rindex(cell) + len(cell)
        assert head[:end].endswith(str(task))  # the tasks' columns end where their numbers end


def summary(**more):
    told = {
        name: {"mean": 90.0, "std": 1.0, "per_seed": {"0": 89, "3": 91}}
        for name in terminal.HEADINGS
    }
    told |= {"learn_seconds": 2.0, "unlearn_seconds": None, "compile_seconds": 3.0}
    return told | {"wall_seconds": 60.0, "chance": {"RA": 10.0, "FA": 10.0}, "remarks": [], **more}


def test_the_table_has_a_line_a_metric_and_what_is_not_defined_is_a_dash():
    none = {"mean": None, "std": None, "per_seed": {"0": None, "3": None}}
    lines = terminal.table(summary(FA=none), None).splitlines()
    assert [line.split()[0] for line in lines[1:11]] == list(terminal.HEADINGS)
    assert lines[1].endswith("90.00 ± 1.00")
    assert lines[2].split()[-1] == "-"
    assert lines[11] == "seeds 0, 3; chance 10.0; learn 2.0 s, compile 3.0 s, all 60.0 s"
    assert len({len(line) for line in lines[:11]}) == 1


def test_classes_have_lines_only_where_some_were_unlearned():
    none = {"mean": None, "std": None, "per_seed": {"0": None, "3": None}}
    old = summary(FA_class=none)
    del old["fall_class"]  # a summary.json of before there were classes
    names = [line.split()[0] for line in terminal.table(old, None).splitlines()[1:9]]
    assert names == [*terminal.ALWAYS, "fall_worst"]


def test_the_papers_numbers_stand_beside_and_remarks_below():
    text = terminal.table(
        summary(chance={"RA": None, "FA": None}, remarks=["svhn stood in"]), {"RA": 62.65}
    )
    lines = text.splitlines()
    assert lines[0].split()[-2:] == ["ours", "paper"]
    assert lines[1].endswith("90.00 ± 1.00    62.65")
    assert lines[2].endswith("90.00 ± 1.00")
    assert "chance not known" in lines[11]
    assert lines[12] == "note: svhn stood in"


def test_heads_without_room_for_what_is_retained_are_told_of():
    own = Hypernetwork(trunk=(8, 16), chunks=9)  # 17 features: room for one task
    for method, settings in (("refit", own), ("uncle", replace(own, hold="solved"))):
        assert terminal.room_line(method, settings, 1) == ""
        line = terminal.room_line(method, settings, 2)
        assert line.startswith(f"warning: {method}'s heads have room for 1 of the 2 tasks")
        assert "--set trunk=8,18 has room" in line
        assert replace(settings, trunk=(8, 18)).room == 2
    for method, settings in (("uncle", own), ("clpu", None)):
        assert terminal.room_line(method, settings, 20) == ""
