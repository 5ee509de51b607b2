"""Every study of the paper, as data."""

import subprocess
import sys

import pytest

from uncle_jax.errors import UncleError
from uncle_jax.report import paper
from uncle_jax.requests import table_4
from uncle_jax.studies.catalogue import STUDIES, papers, specs, study


@pytest.mark.parametrize("name", STUDIES)
@pytest.mark.parametrize("preset", ["laptop", "paper"])
def test_every_line_is_a_run_of_its_own(name, preset):
    lines = specs(STUDIES[name], preset, (0, 1))
    names = [spec.name for _, spec in lines]
    assert len(set(names)) == len(names) > 1
    for line, spec in lines:
        assert spec.requests == table_4(spec.dataset, 1)
        assert (spec.preset, spec.seeds) == (preset, (0, 1))
        told = papers(STUDIES[name], line, spec.dataset)
        assert {*told} <= {*STUDIES[name].metrics}


def test_the_papers_numbers_are_beside_their_lines():
    def told(name, dataset, preset="paper"):
        lines = specs(STUDIES[name], preset, (0,), (dataset,))
        return {line.name: papers(STUDIES[name], line, dataset) for line, _ in lines}

    assert told("saturation", "cifar100")["learning only"] == {"RA": 60.51}
    assert told("beta", "tinyimagenet")["beta=0.01"] == {"RA": 53.7}
    assert told("gamma", "permuted-digits", "laptop")["gamma=0.001"] == {"FA": 17.907, "RA": 96.602}
    assert told("annealing", "tinyimagenet")["with annealing"] == {"FA": 10.0, "seconds": 29.63}
    assert told("annealing", "permuted-digits", "laptop")["with annealing"] == {}
    assert told("noise", "cifar100")["Fixed Noise"]["UNI"] is None, "minus infinity"
    assert told("noise", "cifar100")["Norm Reduce, not squared"] == {}
    assert told("backbone", "five-tasks")["uncle"] == {"RA": 93.77, "FA": 9.6}
    assert told("backbone", "permuted-digits", "laptop")["width=16"] == {}


def test_each_table_of_a_study_is_one_of_the_papers():
    tables = {table for one in STUDIES.values() for table in one.tables}
    wanted = {f"table {n}" for n in (3, 5, 6, 7, 8, 11, 12, 13)}
    assert tables == wanted | {"figure 5", "figure 7", "figure 8"}
    assert {*paper.TABLE_5} == {*paper.TABLE_6} == {*paper.TABLE_9} == {*paper.DATASETS}


def test_what_there_is_not():
    with pytest.raises(UncleError, match="did you mean 'noise'"):
        study("nose")
    with pytest.raises(UncleError, match="allowed: laptop, paper"):
        specs(STUDIES["noise"], "desktop", (0,))
    with pytest.raises(UncleError, match="did you mean 'cifar100'"):
        specs(STUDIES["noise"], "laptop", (0,), ("cifar10",))


def test_importing_it_imports_no_jax():
    code = "import sys, uncle_jax.studies.table; assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
