"""Every table and figure of the paper."""

import pytest

from uncle_jax.cli.figure import FIGURES
from uncle_jax.errors import UncleError
from uncle_jax.presets import PRESETS
from uncle_jax.report import paper
from uncle_jax.studies.catalogue import papers
from uncle_jax.studies.items import ITEMS, chosen

NUMBERED = [f"table {n}" for n in (1, 2, 3, *range(5, 24))] + [f"figure {n}" for n in range(3, 11)]


def test_every_table_and_figure_is_there_once():
    assert sorted(ITEMS) == sorted(NUMBERED)
    assert {item.figure for item in ITEMS.values()} <= {"", *FIGURES}


@pytest.mark.parametrize("preset", ["laptop", "paper"])
@pytest.mark.parametrize("name", NUMBERED)
def test_each_has_runs_and_claims_that_name_them(name, preset):
    item = ITEMS[name]
    for dataset in item.datasets(preset):
        lines = item.specs(preset, (0,), (dataset,))
        assert {spec.dataset for _, spec in lines} == {dataset}
        assert preset in PRESETS[dataset]
        names = {line.name: None for line, _ in lines}
        assert len({spec.name for _, spec in lines}) == len(names) > 0
        for claim in item.claimed(paper.theirs(dataset)):
            assert claim.test(names).verdict == "not run"
    assert item.specs(preset, (0,), ("none",)) == []
    assert item.claims or name == "figure 6"


@pytest.mark.parametrize("name", [name for name in NUMBERED if name.startswith("table")])
def test_each_line_of_a_table_has_the_papers_number(name):
    item = ITEMS[name]
    for line, spec in item.specs("paper", (0,)):
        if "norm-root" in " ".join(line.changes):
            continue  # ours
        told = papers(item.study, line, spec.dataset)
        printed = {*told} & {*item.study.metrics}
        assert printed, (name, line.name, spec.dataset)
        assert any(told[metric] is not None for metric in printed)


def test_claims_name_the_papers_data_sets():
    named = {dataset for item in ITEMS.values() for c in item.claims for dataset in c.datasets}
    assert named <= {*paper.DATASETS}


def test_they_are_chosen_by_name():
    assert [item.name for item in chosen("table2, Figure 8")] == ["table 2", "figure 8"]
    assert len(chosen(None)) == len(ITEMS)
    with pytest.raises(UncleError, match="did you mean 'table2'"):
        chosen("tabel2")
    with pytest.raises(UncleError, match="table or figure"):
        chosen(" , ")
