"""Pools: tasks of several data sets beside each other."""

import numpy as np
import pytest
from publishing import made

from uncle_jax.data import pool as pools
from uncle_jax.data.permuted import digits
from uncle_jax.data.publishers.catalogue import SOURCES
from uncle_jax.data.publishers.prepared import Options
from uncle_jax.data.split import split_benchmark
from uncle_jax.errors import UncleError
from uncle_jax.tasks import as_data


@pytest.fixture
def prepares(monkeypatch):
    ready = {name: made(source) for name, source in SOURCES.items()}
    monkeypatch.setattr(pools, "prepare", lambda source, options: ready[source.name])
    return ready


def test_a_pool_has_whole_sets_and_tasks_of_split_ones(prepares, tmp_path):
    options = Options(tmp_path)
    benchmark = pools.named("mnist, cifar100/3,digits,cifar100/0", 5, options, train_images=12)
    assert (benchmark.n_tasks, benchmark.spec.image_shape) == (4, (32, 32, 3))
    assert benchmark.provenance["tasks"] == ["mnist", "cifar100/3", "digits", "cifar100/0"]
    split = split_benchmark("cifar100", prepares["cifar100"], 5)
    for task, theirs in ((1, 3), (3, 0)):
        ours, its = benchmark.load(task, "test"), split.load(theirs, "test")
        np.testing.assert_array_equal(ours.images, its.images)
        np.testing.assert_array_equal(ours.labels, its.labels)
        assert benchmark.spec.task(task).mean == split.spec.mean
    assert len(benchmark.load(2, "test").labels) == len(digits(5)[1]["test"].labels)
    assert benchmark.spec.task(2).mean == digits(5)[0].mean * 3
    for task in range(4):
        data = as_data(benchmark.load(task, "train"), benchmark.spec, task=task)
        assert len(data.labels) == 12


@pytest.mark.parametrize(
    ("names", "told"),
    [
        ("", "needs names of data sets"),
        ("mnist,mnist", "has a task twice"),
        ("cifar", "unknown data set of a pool 'cifar'; did you mean"),
        ("cifar100", "'cifar100' is no task: cifar100 is 10, cifar100/0 to cifar100/9"),
        ("cifar100/10", "is no task"),
        ("cifar100/x", "is no task"),
        ("mnist/0", "'mnist/0' is no task: mnist is one"),
        ("digits/1", "unknown data set of a pool 'digits'"),
    ],
)
def test_what_is_no_pool_is_a_line(names, told, prepares, tmp_path):
    with pytest.raises(UncleError, match=told):
        pools.named(names, 0, Options(tmp_path))
