"""Benchmarks by name."""

import numpy as np
import pytest
from publishing import MNIST_FILES, made, mnist_files, one_line, put, tree

from uncle_jax.data import load
from uncle_jax.data.five_tasks import TASKS
from uncle_jax.data.load import Choice, load_benchmark
from uncle_jax.data.publishers.prepared import Options
from uncle_jax.errors import UncleError


def choice(folder, *accept: str, **more) -> Choice:
    return Choice(Options(folder, accept, download=False), **more)


@pytest.fixture
def prepares(monkeypatch):
    """`load_benchmark` gets made-up sets; the names that it asked for are returned."""
    asked = []

    def prepare(source, options):
        asked.append(source.name)
        return made(source)

    monkeypatch.setattr(load, "prepare", prepare)
    return asked


@pytest.mark.parametrize(
    ("name", "asks", "n_tasks", "shape"),
    [
        ("permuted-digits", [], 10, (8, 8, 1)),
        ("permuted-mnist", ["mnist"], 10, (28, 28, 1)),
        ("five-tasks", list(TASKS), 5, (32, 32, 3)),
        ("cifar100", ["cifar100"], 10, (32, 32, 3)),
        ("tinyimagenet", ["tiny_imagenet"], 20, (64, 64, 3)),
    ],
)
def test_each_benchmark_is_made_of_its_sets(tmp_path, prepares, name, asks, n_tasks, shape):
    benchmark = load_benchmark(name, 0, choice(tmp_path, train_images=20))
    assert prepares == asks
    assert benchmark.name == name
    assert (benchmark.n_tasks, benchmark.spec.image_shape) == (n_tasks, shape)
    last = benchmark.load(n_tasks - 1, "train")
    assert len(last.labels) == (1438 if name == "permuted-digits" else 20)


def test_a_stand_in_takes_a_tasks_place(tmp_path, prepares):
    benchmark = load_benchmark(
        "five-tasks", 0, choice(tmp_path, substitute={"svhn": "cifar10", "kmnist": "mnist"})
    )
    assert prepares == ["cifar10", "mnist", "mnist", "notmnist", "fashion_mnist"]
    assert benchmark.remarks == (
        "task 0: cifar10 stands in for svhn",
        "task 2: mnist stands in for kmnist",
    )


@pytest.mark.parametrize(
    ("name", "substitute", "message"),
    [
        ("cifar100", {"svhn": "cifar10"}, "--substitute is for five-tasks, not cifar100"),
        ("npz:x", {"svhn": "cifar10"}, "--substitute is for five-tasks, not npz:x"),
        ("five-tasks", {"svnh": "cifar10"}, "task for --substitute 'svnh'; did you mean 'svhn'"),
        ("five-tasks", {"svhn": "cifar"}, "unknown data set 'cifar'; did you mean"),
        ("five-tasks", {"svhn": "cifar100"}, "cifar100 has 100 classes; task 0 needs 10"),
        ("five-tasks", {"mnist": "tiny_imagenet"}, "200 classes; task 1 needs 10"),
        ("cifar-100", {}, "unknown dataset 'cifar-100'; did you mean 'cifar100'"),
        ("cifar100:", {}, "unknown dataset 'cifar100:'"),
        ("folder:", {}, "unknown dataset 'folder:'"),
        ("permuted-digits:x", {}, "needs a number of tasks from 2 to 10,000, not 'x'"),
        ("permuted-mnist:1", {}, "needs a number of tasks"),
        ("zip:x", {}, "unknown kind of own data 'zip'.*folder:ROOT, csv:FILE, npz:ROOT"),
    ],
)
def test_a_wrong_name_costs_a_line_and_prepares_nothing(
    tmp_path, prepares, name, substitute, message
):
    with pytest.raises(UncleError, match=message) as caught:
        load_benchmark(name, 0, choice(tmp_path, substitute=substitute))
    one_line(caught)
    assert prepares == []


def test_a_permuted_benchmark_has_as_many_tasks_as_are_asked_for(tmp_path):
    ten, many = (load_benchmark(f"permuted-digits{n}", 3, choice(tmp_path)) for n in ("", ":23"))
    assert (many.n_tasks, many.spare, many.spec) == (23, 10, ten.spec)
    images = [np.asarray(many.load(task, "test").images) for task in range(33)]
    assert len({one.tobytes() for one in images}) == 33
    for task in range(20):  # the ten that nobody learns of the ten follow
        np.testing.assert_array_equal(images[task], ten.load(task, "test").images)


def test_permuted_mnist_is_loaded_from_the_four_files(tmp_path):
    put(tmp_path / "mnist", mnist_files(30, 20))
    benchmark = load_benchmark("permuted-mnist", 0, choice(tmp_path, "mnist", train_images=12))
    assert len(benchmark.load(0, "train").labels) == 12
    assert len(benchmark.load(9, "test").labels) == 20
    assert "30 of 60,000 train images" in benchmark.remarks[0]


def test_a_missing_file_of_the_four_is_named_with_place_and_source(tmp_path):
    files = mnist_files(3, 2)
    put(tmp_path / "mnist", {name: files[name] for name in MNIST_FILES[1:]})
    before = tree(tmp_path)
    with pytest.raises(UncleError) as caught:
        load_benchmark("permuted-mnist", 0, choice(tmp_path, "mnist"))
    message = one_line(caught)
    for part in (MNIST_FILES[0], str(tmp_path / "mnist"), "https://"):
        assert part in message
    assert MNIST_FILES[1] not in message
    assert tree(tmp_path) == before
