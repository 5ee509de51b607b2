"""CSV lists of image files: columns, splits, tasks, and one line for what is wrong."""

import numpy as np
import pytest
from PIL import Image

from uncle_jax.data.lists import read_lists
from uncle_jax.data.load import Choice, load_benchmark
from uncle_jax.errors import UncleError


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "i").mkdir()
    for k in range(12):
        Image.fromarray(np.full((5, 4), 20 * k, np.uint8)).save(tmp_path / "i" / f"{k}.png")
    return tmp_path


HEADERS = ["file,label,split", "Path,Class,Subset", "\ufeffimage,label,split"]


def rows(*splits, classes="ab", delimiter=","):
    """Image 0, 1, 2, ...: each class once in each of `splits`."""
    pairs = [(split, name) for split in splits for name in classes]
    told = [(f"i/{k}.png", name, split) for k, (split, name) in enumerate(pairs)]
    return "\n".join(delimiter.join(row) for row in told) + "\n"


def pixels(benchmark, task, split):
    images, labels = benchmark.load(task, split)
    return images[:, 0, 0, 0].tolist(), labels.tolist()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize(
    "header", ["file,label,split", "Path,Class,Subset", "\ufeffimage,label,split"]
)
def test_a_list_with_a_column_of_splits(folder, delimiter, header):
    text = header.replace(",", delimiter) + "\n" + rows("train", "test", delimiter=delimiter)
    (folder / "all.csv").write_text(text, encoding="utf-8")
    found = load_benchmark(f"csv:{folder}/all.csv", 0, Choice())
    assert (found.name, found.n_tasks, found.spec.image_shape) == ("csv", 1, (5, 4, 1))
    assert pixels(found, 0, "train") == ([0, 20], [0, 1])
    assert pixels(found, 0, "test") == ([40, 60], [0, 1])


def test_a_folder_of_lists_and_classes_split_into_tasks(folder):
    given = rows("train", "val", classes=["c10", "c2", "c1"]).splitlines()
    for name, part in (("train", given[:3]), ("val", given[3:])):
        lines = ["file,label", *(line.rpartition(",")[0] for line in part)]
        (folder / f"{name}.csv").write_text("\n".join(lines))
    found = load_benchmark(f"csv:{folder}", 0, Choice(tasks=[["c10", "c1"]]))
    assert found.provenance["tasks"] == [["c10", "c1"]]
    assert pixels(found, 0, "train") == ([0, 40], [0, 1])
    assert found.remarks == ("left out: 1 classes that --tasks does not list (c2)",)


def test_a_column_of_tasks_whose_classes_may_share_names(folder):
    lines = [
        f"{line},t{k // 2 % 2}"
        for k, line in enumerate(rows(*["train"] * 2, *["test"] * 2).split())
    ]
    (folder / "all.csv").write_text("file,label,split,task\n" + "\n".join(lines))
    found = load_benchmark(f"csv:{folder}/all.csv", 0, Choice())
    assert found.provenance["tasks"] == [["a", "b"], ["a", "b"]]
    assert pixels(found, 1, "train") == ([40, 60], [0, 1])
    with pytest.raises(UncleError, match=r"--tasks, and .* says each image's task"):
        load_benchmark(f"csv:{folder}/all.csv", 0, Choice(tasks=[["a", "b"]]))


def test_where_there_is_a_test_split_validation_is_left_out(folder):
    (folder / "all.csv").write_text("file,label,split\n" + rows("train", "test", "validation"))
    found, _, remarks = read_lists(folder / "all.csv")
    assert remarks == ("left out: 2 images of split val",)
    assert [path.name for path in found[""].files["a"]["test"]] == ["2.png"]


def test_another_content_is_another_provenance(folder):
    (folder / "all.csv").write_text("file,label,split\n" + rows("train", "test"))
    before = load_benchmark(f"csv:{folder}/all.csv", 0, Choice()).provenance["sha256"]
    Image.fromarray(np.full((5, 4), 7, np.uint8)).save(folder / "i" / "0.png")
    assert load_benchmark(f"csv:{folder}/all.csv", 0, Choice()).provenance["sha256"] != before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "needs a first line with the columns file: file or path"),
        ("i/0.png,a,train\n", "needs a first line"),
        ("file,label\ni/0.png,a\n", "columns split: split or subset; it has file, label"),
        ("file,label,split\ni/99.png,a,train\n", "line 2: there is no file"),
        ("file,label,split\ni/0.png,,train\n", "line 2: no label"),
        ("file,label,split\ni/0.png,a\n", "line 2: 2 columns only"),
        ("file,label,split\n\ni/0.png,a,trian\n", r"unknown split \(.*line 3\) 'trian'; did you"),
        ("file,label,split\n" + rows("train"), "lists no test image"),
        ("file,label,split,task\ni/0.png,a,train,1\ni/1.png,a,test,\n", "others have none"),
        ("file,label,split\n" + rows("train", "test", classes="a"), "single class"),
        ("file,label,split\nall.csv,a,train\n" + rows("train", "test"), "is no readable image"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(folder, text, told):
    (folder / "all.csv").write_text(text)
    with pytest.raises(UncleError, match=told):
        load_benchmark(f"csv:{folder}/all.csv", 0, Choice())


@pytest.mark.parametrize(("where", "told"), [("none.csv", "there is no"), ("i", "no train.csv")])
def test_what_is_not_there_is_told_in_a_line(folder, where, told):
    with pytest.raises(UncleError, match=told):
        read_lists(folder / where)
