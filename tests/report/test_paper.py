"""The paper's numbers as typed in, against each other, the presets', and a second reading."""

import os
from pathlib import Path

import pytest

from uncle_jax.config import Config, as_dict
from uncle_jax.presets import PRESETS, preset
from uncle_jax.report import paper
from uncle_jax.requests import TABLE_4


def numbers(dataset: str, seq: int, method: str) -> paper.Numbers:
    found = paper.numbers(dataset, seq, method)
    assert found is not None
    return found


def test_every_data_set_of_the_paper_has_uncles_metrics():
    for dataset in paper.DATASETS:
        assert set(numbers(dataset, 1, "uncle").told()) == {"RA", "FA", "spill", "relapse"}
        assert "paper" in PRESETS[dataset]
    assert set(numbers("cifar100", 2, "uncle").told()) == {"RA", "FA"}


def test_table_1_has_the_means_of_the_appendix():
    for method, row in paper.TABLE_1.items():
        for i, dataset in enumerate(paper.DATASETS):
            ra, _, fa, _ = paper.MAIN[dataset, 1][method]
            assert row[2 * i : 2 * i + 2] == (ra, fa), (method, dataset)


PAPER = os.environ.get("UNCLE_PAPER")  # the paper's text, as tables of words


@pytest.mark.skipif(PAPER is None, reason="$UNCLE_PAPER names no text of the paper")
def test_tables_5_6_7_and_9_are_the_papers_line_by_line():
    assert PAPER
    lines = [line.split("\t") for line in Path(PAPER).read_text(encoding="utf-8").splitlines()]
    rows = {tuple(cell.strip(" *").lower() for cell in line) for line in lines}
    names = {"permuted-mnist": "permuted mnist", "five-tasks": "5-tasks", "cifar100": "cifar-100"}
    for dataset, by_beta in paper.TABLE_5.items():
        first = names.get(dataset, dataset)
        found = [row for row in rows if row[0] == first and len(row) == 5 and _numbers(row[1:])]
        assert list(by_beta.values()) in [_numbers(row[1:]) for row in found], dataset
    for dataset, by_gamma in paper.TABLE_6.items():
        for name, at in (("fa", 0), ("ra", 1)):
            expected = [value[at] for value in by_gamma.values()]
            assert expected in [_numbers(row[1:]) for row in rows if row[0] == name], dataset
    for how in ("without", "with"):
        told = [paper.TABLE_7[dataset][how] for dataset in ("cifar100", "tinyimagenet")]
        expected = [value for pair in told for value in pair]
        assert [_numbers(row[1:]) for row in rows if row[0] == f"{how} annealing"] == [expected]
    for pair in (("five-tasks", "permuted-mnist"), ("cifar100", "tinyimagenet")):
        for method in paper.TABLE_9["cifar100"]:
            expected = [value for dataset in pair for value in paper.TABLE_9[dataset][method]]
            assert expected in [_numbers(row[1:]) for row in rows if row[0] == method], method


def _numbers(cells):
    try:
        return [float(cell) for cell in cells]
    except ValueError:
        return []


def test_table_8_has_uncle_of_the_other_tables():
    for dataset, noises in paper.TABLE_8.items():
        ra, fa, _, _, seconds = noises["gaussian"]
        uncle = numbers(dataset, 1, "uncle")
        assert (ra, fa, seconds) == (uncle.RA, uncle.FA, uncle.seconds)


@pytest.mark.parametrize(
    ("dataset", "seq", "method", "name", "value"),
    [
        ("permuted-mnist", 1, "jit-hnet", "RA_std", 14.1),
        ("permuted-mnist", 2, "jit", "RA_std", 47.23),
        ("permuted-mnist", 3, "salun", "FA", 64.78),
        ("permuted-mnist", 1, "badteacher", "relapse", 30.51),
        ("permuted-mnist", 1, "jit", "seconds", 213.7),
        ("five-tasks", 1, "lwsf", "RA", 31.76),
        ("five-tasks", 1, "salun", "spill", 15.86),
        ("five-tasks", 1, "scrub", "relapse", 0.0),
        ("five-tasks", 2, "uncle", "FA_std", 3.23),
        ("five-tasks", 3, "gkt-hnet", "FA", 13.74),
        ("five-tasks", 1, "gkt-hnet", "seconds", 83.30),
        ("cifar100", 1, "gkt", "spill", 32.96),
        ("cifar100", 2, "rt-hnet", "RA", 44.32),
        ("cifar100", 3, "ft", "FA_std", 3.25),
        ("cifar100", 1, "ssd", "seconds", 5.73),
        ("cifar100", 1, "only-learning", "RA", 60.51),
        ("tinyimagenet", 1, "scrub", "RA_std", 15.4),
        ("tinyimagenet", 1, "gkt", "relapse", 9.594),
        ("tinyimagenet", 1, "gkt", "seconds", 147.5),
    ],
)
def test_spot_values(dataset, seq, method, name, value):
    assert getattr(numbers(dataset, seq, method), name) == value


def test_what_is_not_printed_is_none():
    for (dataset, seq), rows in paper.MAIN.items():
        undefined = {method for method, row in rows.items() if row[2] is None}
        assert undefined == {"clpu", "lwsf"} & rows.keys()
        assert ("lwsf" in rows) == ((dataset, seq) == ("five-tasks", 1))
        assert set(rows) - {"lwsf"} == set(paper.MAIN["cifar100", 1])
    assert paper.numbers("tinyimagenet", 2, "uncle") is None
    assert paper.numbers("cifar100", 1, "uniclun") is None
    assert paper.numbers("cifar100", 2, "only-learning") is None
    assert numbers("cifar100", 2, "uncle").spill is None
    assert numbers("cifar100", 2, "uncle").seconds is None
    assert numbers("cifar100", 1, "clpu").seconds is None


def test_noises_and_resnet18():
    assert paper.numbers("five-tasks", 1, "uncle", "discard") == paper.Numbers(
        RA=94.52, FA=80.91, seconds=0.0
    )
    assert paper.numbers("five-tasks", 2, "uncle", "norm") is None
    assert paper.numbers("five-tasks", 1, "ssd", resnet18=True) == paper.Numbers(
        30.22, 22.5, 15.07, 6.14
    )
    assert paper.numbers("cifar100", 2, "ssd", resnet18=True) is None
    assert paper.numbers("cifar100", 1, "clpu", resnet18=True) is None


def test_printed_knows_the_papers_setting():
    requests = TABLE_4["cifar100"][1]
    theirs = preset("cifar100", "paper")
    config, uncle = as_dict(theirs.config), as_dict(theirs.uncle)

    def same(method="uncle", changes=(), requests=requests, own=None, **differs):
        own = uncle if own is None else {**uncle, **own}
        return paper.printed("cifar100", requests, method, config | differs, own, changes)[1]

    assert same()
    assert same("scrub")
    assert not same(changes=["alpha"])  # a method's own setting
    assert not same(own={"beta": 1.0})
    assert not same(backbone="thin")
    assert not same(own={"noise": "norm", "beta": 1.0})
    assert same(own={"noise": "norm"}, changes=["noise"])
    assert not same("hnet", own={"beta": 1.0})
    assert same(backbone="resnet18")
    assert not same(unheard_of=1)
    thin = as_dict(Config(backbone="thin"))
    scrubs, _ = paper.printed("cifar100", requests, "scrub", thin, {}, ())
    assert scrubs == numbers("cifar100", 2, "scrub")
    assert paper.printed("cifar100", "L0 L1 U0", "uncle", config, uncle, ()) == (None, False)
    digits = TABLE_4["permuted-digits"][0]
    beside = paper.printed("permuted-digits", digits, "uncle", config, uncle, ())
    assert beside == (numbers("permuted-mnist", 1, "uncle"), False), "another setting"
