"""Benchmarks made of prepared sets, and of arrays."""

import json

import numpy as np
import pytest
from conftest import SPEC, blobs
from publishing import MNIST_FILES, mnist_files, one_line, pixels, put, tree

from uncle_jax.core.inputs import fit_images
from uncle_jax.data import load
from uncle_jax.data.benchmark import Benchmark
from uncle_jax.data.five_tasks import TASKS, five_tasks
from uncle_jax.data.load import Choice, load_benchmark
from uncle_jax.data.permuted import N_TASKS, permuted_digits, permuted_mnist
from uncle_jax.data.publishers import catalogue as sources
from uncle_jax.data.publishers.catalogue import CIFAR100, MNIST, SOURCES, TINY_IMAGENET, Source
from uncle_jax.data.publishers.prepared import Options, Prepared
from uncle_jax.data.split import class_order, select, split_benchmark, subset
from uncle_jax.errors import UncleError
from uncle_jax.tasks import Data, as_data, holdout


def made(source: Source, per_class: int = 3, verified: str = "publisher") -> Prepared:
    """`source` as if prepared: each image holds its label in its first pixel."""
    splits, told = {}, {}
    for split, n in (("train", per_class * source.n_classes), ("test", source.n_classes)):
        labels = (np.arange(n) * 7 % source.n_classes).astype(np.int32)
        images = pixels(n, n, *source.image_shape)
        images[:, 0, 0, 0] = labels
        splits[split] = Data(images, labels)
        told[split] = {"images": n, "per_class": [n // source.n_classes], "sha256": "0"}
    told |= {"source": source.name, "verified": verified, "archives": {"x": "md5:1"}}
    told |= {"image_shape": list(source.image_shape), "skipped": []}
    return Prepared(source, splits, told)


# --------------------------------------------------------------------------------------------------
# Arrays of one's own


def test_no_image_is_on_both_sides_of_a_holdout():
    data = Data(np.arange(50).reshape(50, 1, 1, 1), np.arange(50))
    rest, held = holdout(data, seed=0, fraction=0.2)
    assert sorted([*rest.labels, *held.labels]) == list(range(50))
    assert len(held.labels) == 10
    np.testing.assert_array_equal(rest.images[:, 0, 0, 0], rest.labels)
    np.testing.assert_array_equal(held.images[:, 0, 0, 0], held.labels)


def test_a_holdout_follows_from_its_seed():
    data = Data(np.arange(50).reshape(50, 1, 1, 1), np.arange(50))
    np.testing.assert_array_equal(holdout(data, 1)[1].labels, holdout(data, 1)[1].labels)
    assert holdout(data, 1)[1].labels.tolist() != holdout(data, 2)[1].labels.tolist()


def test_from_arrays_takes_grey_images_and_checks_them():
    rng = np.random.RandomState(0)
    images, labels = rng.randint(0, 255, (9, 5, 5)).astype(np.uint8), np.arange(9) % 3
    benchmark = Benchmark.from_arrays([{"train": (images, labels), "test": (images, labels)}])
    assert benchmark.spec.image_shape == (5, 5, 1)
    assert benchmark.spec.n_classes == 3
    assert benchmark.spec.tasks == ()
    assert (benchmark.spec.mean, benchmark.spec.std) == ((0.5,), (0.5,))
    np.testing.assert_array_equal(benchmark.load(0, "train").images, images[..., None])
    with pytest.raises(UncleError, match="task 0 lacks test"):
        Benchmark.from_arrays([{"train": (images, labels)}])
    with pytest.raises(UncleError, match="at least one task"):
        Benchmark.from_arrays([])
    flat = images.reshape(9, 25)
    with pytest.raises(UncleError, match=r"task 0 test: images must be .* not \[9, 25\]"):
        Benchmark.from_arrays([{"train": (images, labels), "test": (flat, labels)}])


def test_tasks_of_other_sizes_channels_and_classes_are_brought_to_the_largest():
    rng = np.random.RandomState(0)

    def task(shape, n_classes):
        pair = rng.randint(0, 255, (12, *shape)).astype(np.uint8), np.arange(12) % n_classes
        return {"train": pair, "test": pair}

    benchmark = Benchmark.from_arrays([task((5, 9), 3), task((8, 4, 3), 4), task((6, 6, 1), 2)])
    spec = benchmark.spec
    assert spec.image_shape == (8, 9, 3)
    assert spec.n_classes == 4
    assert [spec.task(t).n_classes for t in range(3)] == [3, 4, 2]
    assert {spec.task(t).mean for t in range(3)} == {(0.5, 0.5, 0.5)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: Data(d.images[:, :, :, [0, 0]], d.labels), "images are"),
        (lambda d: Data(d.images[..., 0], d.labels), "images are"),
        (lambda d: Data(d.images.astype(int), d.labels), "images are int64"),
        (lambda d: Data(d.images, d.labels[:-1]), "one label an image"),
        (lambda d: Data(d.images, d.labels.astype(float)), "must be integers"),
        (lambda d: Data(d.images, d.labels + 1), r"labels run from 1 to 3 \(0 to 2\)"),
        (lambda d: Data(d.images, d.labels - 1), r"labels run from -1 to 1 \(0 to 2\)"),
        (lambda d: Data(d.images[:0], d.labels[:0]), "at least one"),
    ],
)
def test_bad_data_is_refused(change, message):
    as_data(blobs(0), SPEC)  # as it is, it is taken
    with pytest.raises(UncleError, match=message) as caught:
        as_data(change(blobs(0)), SPEC, "task 7")
    assert one_line(caught).startswith("task 7: ")


@pytest.mark.parametrize("labels", [["cat", "dog"] * 4, [0.0, np.nan] * 4, [[0]] * 8])
def test_labels_that_are_no_integers_are_refused_with_their_task(labels):
    images = pixels(0, 8, 4, 4)
    good, bad = (images, np.arange(8)), (images, np.asarray(labels))
    with pytest.raises(UncleError, match=r"task 1 test: .*label") as caught:
        Benchmark.from_arrays([{"train": good, "test": good}, {"train": good, "test": bad}])
    one_line(caught)


# --------------------------------------------------------------------------------------------------
# Split


def test_class_order_is_that_of_torch():
    # torch.manual_seed(seed); torch.randperm(n)
    assert class_order(10, 0) == [4, 1, 7, 5, 3, 9, 0, 8, 6, 2]
    assert sorted(class_order(200, 17)) == list(range(200))
    assert class_order(200, 17) != class_order(200, 5)


@pytest.mark.parametrize(("source", "n_tasks"), [(CIFAR100, 10), (TINY_IMAGENET, 20)])
def test_every_class_is_in_one_task_and_labelled_by_its_place_in_the_order(source, n_tasks):
    ready = made(source, per_class=2)
    benchmark = split_benchmark("x", ready, seed=5)
    order = class_order(source.n_classes, 5)
    assert benchmark.n_tasks == n_tasks
    assert benchmark.spec.image_shape == source.image_shape
    assert benchmark.spec.n_classes == 10
    assert (benchmark.spec.mean, benchmark.spec.std) == (source.mean, source.std)
    seen = []
    for task in range(n_tasks):
        for split, per_class in (("train", 2), ("test", 1)):
            images, labels = benchmark.load(task, split)
            assert np.bincount(labels).tolist() == [per_class] * 10
            assert labels.dtype == np.int32
            assert images.dtype == np.uint8
            original = images[:, 0, 0, 0]  # where `made` put it
            assert original.tolist() == [order[10 * task + label] for label in labels]
        seen += original.tolist()
    assert sorted(seen) == list(range(source.n_classes))


def test_a_split_benchmark_tells_its_order_source_and_what_was_accepted():
    benchmark = split_benchmark("cifar100", made(CIFAR100), seed=1, train_images=5)
    told = json.loads(json.dumps(benchmark.provenance))
    assert told["class_order"] == class_order(100, 1)
    assert told["train_images"] == 5
    assert told["cifar100"]["verified"] == "publisher"
    assert benchmark.remarks == ()
    accepted = split_benchmark("cifar100", made(CIFAR100, verified="no"), seed=1)
    assert accepted.remarks == (
        "cifar100: not the publisher's archive "
        "(300 of 50,000 train images, 100 of 10,000 test images)",
    )


def test_train_images_draws_the_same_images_for_the_same_seed_and_leaves_test_whole():
    ready = made(CIFAR100)
    few = split_benchmark("x", ready, seed=0, train_images=12)
    whole = split_benchmark("x", ready, seed=0)
    images, labels = few.load(3, "train")
    assert images.shape == (12, 32, 32, 3)
    again = split_benchmark("x", ready, seed=0, train_images=12).load(3, "train")
    np.testing.assert_array_equal(images, again.images)
    np.testing.assert_array_equal(labels, again.labels)
    known = {image.tobytes(): label for image, label in zip(*whole.load(3, "train"), strict=True)}
    assert [known[image.tobytes()] for image in images] == labels.tolist()
    assert len({image.tobytes() for image in images}) == 12
    np.testing.assert_array_equal(few.load(3, "test").images, whole.load(3, "test").images)


def test_a_subset_keeps_the_order_and_depends_on_seed_and_task():
    data = Data(np.arange(100).reshape(100, 1, 1, 1), np.arange(100))
    drawn = [subset(data, 10, seed).labels.tolist() for seed in ((0, 0), (0, 1), (1, 0))]
    assert all(labels == sorted(set(labels)) for labels in drawn)
    assert len(set(map(tuple, drawn))) == 3
    for n in (None, 100, 101):
        assert subset(data, n, (0, 0)) is data


def test_selecting_classes_that_some_images_lack_keeps_the_others():
    data = Data(np.arange(4).reshape(4, 1, 1, 1), np.asarray([0, 1, 1, 2]))
    images, labels = select(data, {9: 0, 1: 1})  # no image of 9, beyond the largest label
    assert images.reshape(-1).tolist() == [1, 2]
    assert labels.tolist() == [1, 1]
    with pytest.raises(UncleError, match="no image of classes 8, 9"):
        select(data, {8: 0, 9: 1})


# --------------------------------------------------------------------------------------------------
# Permuted


def test_digits_are_split_and_permuted_by_seed():
    benchmark = permuted_digits(3)
    train, test = benchmark.load(0, "train"), benchmark.load(0, "test")
    assert (len(train.labels), len(test.labels)) == (1438, 359)
    assert train.images.shape[1:] == (8, 8, 1)
    assert train.images.dtype == np.uint8
    other = benchmark.load(1, "test")
    np.testing.assert_array_equal(test.labels, other.labels)
    assert not np.array_equal(test.images, other.images)
    # A permutation keeps each image's pixels.
    np.testing.assert_array_equal(
        np.sort(test.images.reshape(359, 64)), np.sort(other.images.reshape(359, 64))
    )
    again = permuted_digits(3).load(1, "test")
    np.testing.assert_array_equal(again.images, benchmark.load(1, "test").images)
    assert not np.array_equal(permuted_digits(4).load(1, "test").images, again.images)


def test_permuted_mnist_permutes_all_pixels_as_the_authors_draw_them():
    ready = made(MNIST)
    benchmark = permuted_mnist(ready, seed=0)
    assert benchmark.n_tasks == N_TASKS == 10
    assert benchmark.spec.image_shape == (28, 28, 1)
    rng = np.random.RandomState(0)
    flat = ready.splits["test"].images.reshape(10, 784)
    for task in range(3):
        images, labels = benchmark.load(task, "test")
        np.testing.assert_array_equal(
            np.asarray(images).reshape(10, 784), flat[:, rng.permutation(784)]
        )
        np.testing.assert_array_equal(labels, ready.splits["test"].labels)


def test_permuted_mnist_draws_each_task_its_training_images():
    ready = made(MNIST, verified="no")
    benchmark = permuted_mnist(ready, seed=0, train_images=12)
    labels = [benchmark.load(task, "train").labels.tolist() for task in (0, 1)]
    assert [len(drawn) for drawn in labels] == [12, 12]
    assert labels[0] != labels[1]
    again = permuted_mnist(ready, seed=0, train_images=12)
    assert again.load(1, "train").labels.tolist() == labels[1]
    assert len(benchmark.load(0, "test").labels) == 10
    assert len(permuted_mnist(ready, seed=0).load(0, "train").labels) == 30
    assert benchmark.provenance["train_images"] == 12
    assert benchmark.remarks == (ready.remark,)


def test_permuted_images_keep_their_labels():
    ready = made(MNIST)
    benchmark = permuted_mnist(ready, seed=0)
    of_pixels = {
        tuple(sorted(image.reshape(-1))): label
        for image, label in zip(*ready.splits["train"], strict=True)
    }
    images, labels = benchmark.load(4, "train")
    found = [of_pixels[tuple(sorted(image.reshape(-1)))] for image in np.asarray(images)]
    assert found == labels.tolist()


# --------------------------------------------------------------------------------------------------
# Five tasks


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


# --------------------------------------------------------------------------------------------------
# By name


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
        ("zip:x", {}, "unknown kind of own data 'zip'.*folder, npz, tfds"),
    ],
)
def test_a_wrong_name_costs_a_line_and_prepares_nothing(
    tmp_path, prepares, name, substitute, message
):
    with pytest.raises(UncleError, match=message) as caught:
        load_benchmark(name, 0, choice(tmp_path, substitute=substitute))
    one_line(caught)
    assert prepares == []


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


def test_every_source_is_known_by_its_name_and_others_are_not():
    assert {sources.source(name).name for name in SOURCES} == set(SOURCES)
    for source in SOURCES.values():
        assert len(source.mean) == len(source.std) == source.image_shape[-1]
        urls = [(a.url, a) for archives, _ in source.variants for a in archives]
        assert all(url.startswith("http") for url, _ in urls)
        assert all(url.endswith(archive.name) for url, archive in urls)
    with pytest.raises(UncleError, match="unknown data set 'minst'; did you mean 'mnist'"):
        sources.source("minst")
