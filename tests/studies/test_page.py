"""The page of uncle reproduce."""

from pathlib import Path

from reporting import write_run

from uncle_jax.studies.finished import Finished
from uncle_jax.studies.items import ITEMS
from uncle_jax.studies.page import command, page
from uncle_jax.studies.progress import Asked, parts

SEQUENCE = "L1 L0 U1 L5 L8 L9 L7 U0 L2 L3 L4 U8 U3 U5 L6"
ASKED = Asked("laptop", (0, 1), ("permuted-digits",))


def made(folder, items, drawn=None):
    known = parts([ITEMS[name] for name in items], ASKED, Finished([folder]))
    return page(known, ASKED, drawn or {}, Path("docs/reproduced.md"))


def test_the_papers_number_ours_the_verdict_and_the_command(tmp_path):
    told = {"source": "tuned", "changes": {}}
    more = {"dataset": "permuted-digits", "requests": SEQUENCE, "told": told, "seeds": (0, 1)}
    write_run(tmp_path / "a", "uncle", **more)
    write_run(tmp_path / "b", "only-learning", ra=80.0, **more)
    text = made(tmp_path, ["table 3"])
    row = "| permuted-digits | UnCLe | 90.50 ± 0.71 | 96.87 | 0 1 |"
    assert row in text
    claim = "| table 3 | permuted-digits | unlearning old tasks helps new ones | **holds** |"
    assert claim in text
    assert "permuted-digits: 4 of 4 runs: `uncle reproduce --only table3" in text
    assert made(tmp_path, ["table 3"]) == text


def test_what_is_not_run_has_its_cost(tmp_path):
    text = made(tmp_path, ["table 14", "table 8"])
    assert "| not run |" in text
    assert "permuted-digits: 0 of 28 runs; the others take about 31 min" in text
    assert "## Table 8: kinds of noise" in text


def test_pictures_are_linked_from_where_the_page_is(tmp_path):
    told = {"source": "tuned", "changes": {}}
    write_run(tmp_path / "a", dataset="permuted-digits", requests=SEQUENCE, told=told)
    place = {("figure 7", "permuted-digits"): Path("docs/reproduced/figure7.png")}
    assert "(reproduced/figure7.png)" in made(tmp_path, ["figure 7"], place)
    why = {("figure 7", "permuted-digits"): "nothing to draw"}
    assert "No picture of permuted-digits: nothing to draw." in made(tmp_path, ["figure 7"], why)


def test_the_command_names_the_preset_where_it_is_not_the_usual():
    item = ITEMS["figure 8"]
    assert command(item, Asked("laptop", (0,))) == "uncle reproduce --only figure8"
    assert command(item, Asked("paper", (0,)), "cifar100") == (
        "uncle reproduce --only figure8 --preset paper --datasets cifar100"
    )
