"""Sets of the datasets library, from files on disk; without it, how to get it."""

import io
import sys

import numpy as np
import pytest
from PIL import Image

from uncle_jax.data.hf_sets import hf_benchmark
from uncle_jax.data.load import Choice, load_benchmark
from uncle_jax.data.publishers.prepared import Options
from uncle_jax.errors import UncleError

pytestmark = pytest.mark.filterwarnings("ignore")  # dill's and others' below the library


def test_without_the_library_it_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UncleError, match=r"pip install 'uncle-jax\[hf\]'"):
        hf_benchmark("mnist")


@pytest.fixture
def datasets(monkeypatch, tmp_path):
    library = pytest.importorskip("datasets", reason="the extra [hf]")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    library.disable_progress_bars()
    return library


def made(datasets, classes="abc", column="label", splits=("train", "test"), named=True):
    """Two images a class and split, of colours in their order."""

    def png(k):
        held = io.BytesIO()
        Image.fromarray(np.full((5, 4), 10 * k, np.uint8)).save(held, "png")
        return {"bytes": held.getvalue(), "path": None}

    kind = datasets.ClassLabel(names=list(classes)) if named else datasets.Value("int64")
    features = datasets.Features({"picture": datasets.Image(), column: kind})
    y = [0, 1, 2, 0, 1, 2] if len(classes) == 3 else [0, 0]
    rows = {"picture": [png(k) for k in range(len(y))], column: y}
    return datasets.DatasetDict(
        {split: datasets.Dataset.from_dict(rows, features=features) for split in splits}
    )


def offline(folder, **more):
    return Choice(Options(folder, download=False), **more)


@pytest.mark.parametrize("written", ["save_to_disk", "parquet"])
def test_files_on_disk(datasets, tmp_path, written):
    sets = made(datasets, splits=("train", "validation", "extra"))
    where = tmp_path / "set"
    if written == "save_to_disk":
        sets.save_to_disk(where)
    else:
        for split, rows in sets.items():
            rows.to_parquet(where / "data" / f"{split}-00000-of-00001.parquet")
    found = load_benchmark(f"hf:{where}", 0, offline(tmp_path, tasks=[["c", "a"]]))
    images, labels = found.load(0, "train")
    assert images[:, 0, 0, 0].tolist() == [20, 50, 0, 30]
    assert labels.tolist() == [0, 0, 1, 1]
    assert found.provenance["tasks"] == [["c", "a"]]
    left = [line for line in found.remarks if "splits" in line]
    assert left == (["left out: splits extra"] if written == "save_to_disk" else left)
    again = load_benchmark(f"hf:{where}", 0, offline(tmp_path, tasks=[["c", "a"]]))
    assert again.provenance == found.provenance


def test_labels_without_names_are_classes_by_number(datasets, tmp_path):
    made(datasets, named=False).save_to_disk(tmp_path / "set")
    found = load_benchmark(f"hf:{tmp_path / 'set'}", 0, offline(tmp_path))
    assert found.provenance["tasks"] == [["0", "1", "2"]]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"column": "caption", "named": False}, "has columns picture, caption: one of images and"),
        ({"splits": ("train",)}, r"has splits train \(train and test"),
        ({"classes": "a"}, "single class"),
    ],
)
def test_a_set_that_does_not_fit_is_told_in_a_line(datasets, tmp_path, changes, told):
    made(datasets, **changes).save_to_disk(tmp_path / "set")
    with pytest.raises(UncleError, match=told):
        load_benchmark(f"hf:{tmp_path / 'set'}", 0, offline(tmp_path))


def test_a_name_that_is_not_in_the_cache_is_not_fetched_without_download(datasets, tmp_path):
    with pytest.raises(UncleError, match="datasets cannot read 'no/such_set'"):
        load_benchmark("hf:no/such_set", 0, offline(tmp_path))
