"""A prepared TFDS set as a benchmark of one's own."""

import gzip
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from publishing import one_line, pixels

from uncle_jax.data.load import Choice, load_benchmark
from uncle_jax.data.publishers import records as builders
from uncle_jax.data.publishers.catalogue import Source
from uncle_jax.data.publishers.formats import Splits, arrays
from uncle_jax.data.publishers.prepared import Options
from uncle_jax.data.tfds_sets import tfds_benchmark
from uncle_jax.errors import UncleError

SET = Source("own_set", (), (6, 8, 3), 5, (15, 10), (0.5,) * 3, (0.5,) * 3)


def prepare_tfds(folder: Path, source: Source = SET) -> Path:
    """`source` as TFDS prepares it: 15 train images of five classes, and 10 test images."""
    train, test = (
        arrays(pixels(seed, n, *source.image_shape), np.arange(n) % 5)
        for seed, n in enumerate((15, 10))
    )
    builders.build(source, Splits(train, test), folder)
    return folder


def test_a_prepared_tfds_set_is_split_into_tasks(tmp_path):
    benchmark = tfds_benchmark("own_set", prepare_tfds(tmp_path), classes_per_task=3)
    assert benchmark.name == "tfds:own_set"
    assert benchmark.n_tasks == 2
    assert benchmark.spec.image_shape == (6, 8, 3)
    assert [benchmark.spec.task(t).n_classes for t in (0, 1)] == [3, 2]
    assert benchmark.provenance["tfds"] == "own_set/1.0.0"
    images, labels = benchmark.load(1, "train")
    kept = [k for k in range(15) if k % 5 in (3, 4)]
    np.testing.assert_array_equal(images, pixels(0, 15, 6, 8, 3)[kept])
    assert labels.tolist() == [k % 5 - 3 for k in kept]
    assert len(benchmark.load(0, "test").labels) == 6


def test_a_tfds_sets_tasks_are_as_listed(tmp_path):
    benchmark = tfds_benchmark("own_set", prepare_tfds(tmp_path), tasks=[["4", "0"], ["2", "3"]])
    images, labels = benchmark.load(0, "test")
    np.testing.assert_array_equal(images, pixels(1, 10, 6, 8, 3)[[0, 4, 5, 9]])
    assert labels.tolist() == [1, 0, 1, 0]


def choice(folder: Path, **more) -> Choice:
    return Choice(Options(folder, download=False), **more)


def test_a_folder_of_archives_does_not_hide_the_set_that_tfds_has(tmp_path, monkeypatch):
    prepare_tfds(tmp_path / "tfds")
    (tmp_path / "data/own_set").mkdir(parents=True)
    (tmp_path / "data/own_set/archive.tar.gz").write_bytes(gzip.compress(b""))
    monkeypatch.setattr("tensorflow_datasets.core.constants.DATA_DIR", str(tmp_path / "tfds"))
    benchmark = load_benchmark("tfds:own_set", 0, choice(tmp_path / "data"))
    assert benchmark.spec.n_classes == 5


@pytest.mark.parametrize("name", ["no_such_set", "mnist", "own_set/9.9.9"])
def test_a_tfds_set_that_is_unknown_or_not_prepared_is_told_in_a_line(tmp_path, name):
    prepare_tfds(tmp_path)
    with pytest.raises(UncleError, match=f"TFDS cannot read '{name}'") as caught:
        tfds_benchmark(name, tmp_path)
    one_line(caught)


def test_a_tfds_set_without_images_is_told_in_a_line(tmp_path):
    prepare_tfds(tmp_path)
    (path,) = tmp_path.rglob("features.json")
    path.write_text(path.read_text().replace('"image"', '"picture"', 1))
    with pytest.raises(UncleError, match=r"as prepared images with labels .*image") as caught:
        tfds_benchmark("own_set", tmp_path)
    one_line(caught)


def test_a_set_is_loaded_by_name(tmp_path):
    prepare_tfds(tmp_path)
    for name in ("own_set", "own_set:1.0.0"):
        found = load_benchmark(f"tfds:{name}", 0, choice(tmp_path, tasks=[["4", "0"]]))
        assert found.spec.n_classes == 2


def test_the_newest_version_is_by_number_and_a_config_is_named(tmp_path):
    prepare_tfds(tmp_path)
    home = tmp_path / "own_set"
    info = json.loads((home / "1.0.0/dataset_info.json").read_text())
    for version in ("1.9.0", "1.10.0"):
        shutil.copytree(home / "1.0.0", home / version)
        (home / version / "dataset_info.json").write_text(json.dumps(info | {"version": version}))
    assert tfds_benchmark("own_set", tmp_path).provenance["tfds"] == "own_set/1.10.0"
    assert tfds_benchmark("own_set/1.9.0", tmp_path).provenance["tfds"] == "own_set/1.9.0"
    for name in ("grey", "rgb"):
        shutil.copytree(home / "1.0.0", tmp_path / "several" / name / "1.0.0")
    with pytest.raises(UncleError, match=r"has several/grey, several/rgb: name one, as in tfds:"):
        tfds_benchmark("several", tmp_path)


def test_a_record_that_was_cut_short_is_told_in_a_line(tmp_path):
    prepare_tfds(tmp_path)
    for path in (tmp_path / "own_set/1.0.0").glob("*train*array_record*"):
        path.write_bytes(path.read_bytes()[:30000])
    with pytest.raises(UncleError, match=r"of 15 of train in .*own_set/1\.0\.0 cannot") as caught:
        tfds_benchmark("own_set", tmp_path)
    one_line(caught)


def test_how_to_prepare_a_set_says_where(tmp_path):
    with pytest.raises(UncleError, match="data_dir='") as caught:
        tfds_benchmark("mnist", tmp_path)
    assert str(tmp_path) in str(caught.value)
