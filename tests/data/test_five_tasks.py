"""5-Tasks."""

import json

import numpy as np
from publishing import made

from uncle_jax.core.inputs import fit_images
from uncle_jax.data.five_tasks import TASKS, five_tasks
from uncle_jax.data.publishers.catalogue import SOURCES
from uncle_jax.tasks import as_data


def test_five_tasks_keep_their_sizes_and_normalisation_under_one_shape():
    ready = [made(SOURCES[name]) for name in TASKS]
    benchmark = five_tasks(ready, seed=0)
    assert TASKS == ("svhn", "mnist", "kmnist", "notmnist", "fashion_mnist")
    spec = benchmark.spec
    assert (benchmark.n_tasks, spec.image_shape, spec.n_classes) == (5, (32, 32, 3), 10)
    assert spec.task(0).mean == (0.4377, 0.4438, 0.4728)
    assert spec.task(1).mean == (0.1307,) * 3  # a grey one's, for each channel
    assert spec.task(1).std == (0.3081,) * 3
    assert spec.task(3).mean == spec.task(4).std == (0.5,) * 3
    for task, one in enumerate(ready):
        for split in ("train", "test"):
            data = as_data(benchmark.load(task, split), spec, task=task)
            np.testing.assert_array_equal(data.images, one.splits[split].images)
            brought = fit_images(data.images, spec.image_shape)
            assert brought.shape == (len(data.labels), 32, 32, 3)
    assert benchmark.remarks == ()
    assert benchmark.provenance["tasks"] == list(TASKS)


def test_five_tasks_remark_stand_ins_and_what_was_accepted():
    names = ["cifar10", *TASKS[1:]]
    ready = [made(SOURCES[name], verified="no" if name == "kmnist" else "x") for name in names]
    benchmark = five_tasks(ready, seed=0, train_images=4)
    assert benchmark.remarks == (
        "task 0: cifar10 stands in for svhn",
        "kmnist: not the publisher's archive (30 of 60,000 train images, 10 of 10,000 test images)",
    )
    told = json.loads(json.dumps(benchmark.provenance))
    assert told["tasks"] == names
    assert told["kmnist"]["verified"] == "no"
    assert {len(benchmark.load(task, "train").labels) for task in range(5)} == {4}
    assert {len(benchmark.load(task, "test").labels) for task in range(5)} == {10}


def test_five_grey_tasks_stay_grey():
    ready = [made(SOURCES[name]) for name in ("mnist", *TASKS[1:])]
    benchmark = five_tasks(ready, seed=0)
    assert benchmark.spec.image_shape == (28, 28, 1)
    assert benchmark.spec.task(0).mean == (0.1307,)
