"""One number of the learner after each request."""

import csv
import math

import pytest
from drawing import LONG, drawn, group_of, overlapping

from uncle_jax.errors import UncleError
from uncle_jax.report.compare import groups
from uncle_jax.report.figures.over_time import (
    erosion_over_time,
    plot_erosion,
    plot_magnitude,
    plot_worst,
    worst_over_time,
)
from uncle_jax.report.results import read_run


def test_erosion_is_of_what_is_learned_then(tmp_path):
    group = group_of(tmp_path, "uncle", requests="L0 L1 U0 L2 U1 U2")
    (run,) = group.rows[0].runs
    accuracy = [{0: 90.0}, {0: 84.0, 1: 80.0}, {0: 9.0, 1: 79.0}, {0: 9.0, 1: 77.0, 2: 70.0}]
    accuracy += [{0: 9.0, 1: 10.0, 2: 68.0}, {0: 9.0, 1: 10.0, 2: 10.0}]
    found = erosion_over_time(run._replace(accuracy=accuracy))
    assert found[:5] == [0.0, 3.0, 1.0, 1.5, 2.0]
    assert math.isnan(found[5]), "nothing is learned"


def test_the_worst_is_of_what_is_retained_then(tmp_path):
    group = group_of(tmp_path, "uncle", requests="L0 L1 U0 U1")
    (run,) = group.rows[0].runs
    accuracy = [{0: 90.0}, {0: 84.0, 1: 80.0}, {0: 9.0, 1: 79.0}, {0: 9.0, 1: 10.0}]
    found = worst_over_time(run._replace(accuracy=accuracy))
    assert found[:3] == [90, 80, 79]
    assert math.isnan(found[3])
    (axes,) = drawn(plot_worst, tmp_path / "worst.png", group).axes
    assert axes.get_ylabel() == "worst retained task (%)"


def test_erosion_of_thirty_requests(tmp_path):
    group = group_of(tmp_path, "ssd", "derpp", "uncle", requests=LONG, dataset="tinyimagenet")
    assert not overlapping(drawn(plot_erosion, tmp_path / "erosion.png", group, "column"))


def test_the_size_of_phi_is_drawn_where_it_was_measured(tmp_path):
    group = group_of(tmp_path, "ssd", "uncle", seeds=(0, 1))
    with pytest.raises(UncleError, match="no run has measured the size of phi"):
        plot_magnitude(tmp_path / "phi.png", group)
    for seed in (0, 1):
        with (tmp_path / "uncle" / f"seed{seed}" / "metrics.csv").open("a") as file:
            for i in range(4):
                csv.writer(file).writerow([i, "L", 0, "", "test", "phi_norm", 5 + i + seed])
    places = (tmp_path / "ssd", tmp_path / "uncle")
    (group,) = groups(run for place in places for run in read_run(place)[0])
    (axes,) = drawn(plot_magnitude, tmp_path / "phi.png", group).axes
    (line,) = axes.lines
    assert list(line.get_ydata()) == [5.5, 6.5, 7.5, 8.5]
