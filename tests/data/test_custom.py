"""One's own data: a tree of images, an .npz a task, a prepared TFDS set."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from publishing import one_line, pixels

from uncle_jax.data.custom import image_folder
from uncle_jax.data.load import Choice, load_benchmark
from uncle_jax.data.plans import read_tasks
from uncle_jax.data.publishers.prepared import Options
from uncle_jax.errors import UncleError

# --------------------------------------------------------------------------------------------------
# A tree of images


def save(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def tree_of(root: Path, names: str = "abcde", test: str = "test", shape=(6, 8)) -> Path:
    """Two train images and a test image of each class, all of another colour."""
    for index, name in enumerate(names):
        for split, n in (("train", 2), (test, 1)):
            for k in range(n):
                image = np.full(shape, 40 * index + 10 * k + (split == "train"), np.uint8)
                save(root / split / name / f"{k}.png", image)
    return root


@pytest.mark.parametrize("test", ["test", "val"])
def test_classes_in_the_order_of_their_names_are_split_into_tasks(tmp_path, test):
    benchmark = image_folder(tree_of(tmp_path, "ecadb", test), classes_per_task=3)
    assert benchmark.n_tasks == 2
    assert benchmark.spec.image_shape == (6, 8, 1)
    assert benchmark.spec.n_classes == 3
    assert [benchmark.spec.task(t).n_classes for t in (0, 1)] == [3, 2]
    assert benchmark.provenance["tasks"] == [["a", "b", "c"], ["d", "e"]]
    images, labels = benchmark.load(1, "train")
    assert images[:, 0, 0, 0].tolist() == [121, 131, 1, 11]  # d and e, as tree_of coloured them
    assert labels.tolist() == [0, 0, 1, 1]
    images, labels = benchmark.load(0, "test")
    assert images[:, 0, 0, 0].tolist() == [80, 160, 40]
    assert labels.tolist() == [0, 1, 2]


def test_a_test_folder_goes_before_a_val_folder(tmp_path):
    tree_of(tree_of(tmp_path, "ab", "val"), "ab", "test")
    save(tmp_path / "test/a/1.png", np.zeros((6, 8), np.uint8))
    assert len(image_folder(tmp_path).load(0, "test").labels) == 3


def test_tasks_are_as_the_json_file_lists_them(tmp_path):
    (tmp_path / "tasks.json").write_text(json.dumps([["d", "a"], ["e", "b", "c"], ["a", "b"]]))
    benchmark = image_folder(tree_of(tmp_path), tasks=read_tasks(tmp_path / "tasks.json"))
    assert benchmark.n_tasks == 3
    assert [benchmark.spec.task(t).n_classes for t in range(3)] == [2, 3, 2]
    images, labels = benchmark.load(0, "test")
    assert images[:, 0, 0, 0].tolist() == [120, 0]
    assert labels.tolist() == [0, 1]


def test_grey_images_become_rgb_where_any_image_has_colour(tmp_path):
    tree_of(tmp_path, "ab")
    colour = pixels(0, 6, 8, 3)
    save(tmp_path / "train/b/1.png", colour)
    benchmark = image_folder(tmp_path)
    assert benchmark.spec.image_shape == (6, 8, 3)
    images, _ = benchmark.load(0, "train")
    np.testing.assert_array_equal(images[3], colour)
    assert (images[0] == images[0, 0, 0]).all()


def test_images_are_resized_to_the_most_frequent_size_or_to_the_one_asked_for(tmp_path):
    tree_of(tmp_path, "ab")
    save(tmp_path / "train/a/1.png", np.full((12, 5), 99, np.uint8))
    save(tmp_path / "test/b/0.jpg", np.full((7, 7), 55, np.uint8))
    benchmark = image_folder(tmp_path)
    assert benchmark.spec.image_shape == (6, 8, 1)
    assert set(benchmark.load(0, "train").images[1].reshape(-1)) == {99}
    assert benchmark.provenance["image_size"] == [6, 8]
    assert image_folder(tmp_path, image_size=16).spec.image_shape == (16, 16, 1)


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("raw", ["cut", b"", b"<html>", "bit"])
def test_an_image_that_cannot_be_read_is_named_in_a_line(tmp_path, split, raw):
    path = save(tree_of(tmp_path, "ab") / split / "b/7.png", pixels(0, 6, 8, 3))
    whole = bytearray(path.read_bytes())
    if raw == "bit":
        whole[len(whole) // 2] ^= 1  # in the pixels: their checksum tells
    path.write_bytes({"cut": whole[:-40], "bit": whole}.get(raw, raw))
    with pytest.raises(UncleError, match=f"{path} is no readable image") as caught:
        image_folder(tmp_path)
    one_line(caught)


@pytest.mark.parametrize("kind", ["BMP", "GIF", "JPEG", "PNG", "TIFF", "WEBP"])
def test_a_cut_image_of_any_kind_is_named_in_a_line(tmp_path, kind):
    file = io.BytesIO()
    Image.fromarray(pixels(0, 20, 30, 3)).save(file, kind)
    path = tree_of(tmp_path, "ab") / "train/a" / f"7.{kind.lower()}"
    for share in (0.1, 0.5, 0.8):
        path.write_bytes(file.getvalue()[: int(share * len(file.getvalue()))])
        with pytest.raises(UncleError, match=f"{path} is no readable image") as caught:
            image_folder(tmp_path)
        one_line(caught)


@pytest.mark.filterwarnings("ignore")  # Pillow warns of large images, too
def test_an_image_that_claims_to_be_huge_is_named_in_a_line(tmp_path):
    path = save(tree_of(tmp_path, "ab") / "train/b/7.bmp", pixels(0, 6, 8, 3))
    raw = bytearray(path.read_bytes())
    raw[18:26] = (60_000).to_bytes(4, "little") * 2  # width and height
    path.write_bytes(raw)
    with pytest.raises(UncleError, match=f"{path} is no readable image") as caught:
        image_folder(tmp_path)
    one_line(caught)


def test_a_class_in_one_split_only_is_named(tmp_path):
    tree_of(tmp_path, "abc")
    save(tmp_path / "train/d/0.png", np.zeros((6, 8), np.uint8))
    with pytest.raises(UncleError, match="class 'd' is in train only"):
        image_folder(tmp_path)
    (tmp_path / "train/d").rename(tmp_path / "test/d")
    with pytest.raises(UncleError, match="class 'd' is in test only"):
        image_folder(tmp_path)


def test_an_empty_class_folder_is_named(tmp_path):
    (tree_of(tmp_path, "ab") / "train/c").mkdir()
    (tmp_path / "train/c/notes.txt").write_text("no image")
    with pytest.raises(UncleError, match=f"no image in {tmp_path}/train/c") as caught:
        image_folder(tmp_path)
    assert ".png" in one_line(caught)


@pytest.mark.parametrize("missing", ["train", "test", "all"])
def test_a_missing_folder_is_named(tmp_path, missing):
    root = tree_of(tmp_path / "root", "ab") if missing != "all" else tmp_path / "root"
    if missing != "all":
        (root / missing).rename(tmp_path / "elsewhere")
    name = "train" if missing == "all" else missing
    with pytest.raises(UncleError, match=f"no class folder in {root / name}") as caught:
        image_folder(root)
    one_line(caught)


def test_own_data_is_loaded_by_name(tmp_path):
    tree_of(tmp_path / "tree")
    (tmp_path / "npz").mkdir()
    npz(tmp_path / "npz/a.npz")
    chosen = Choice(Options(tmp_path, download=False), classes_per_task=3, image_size=10)
    folder = load_benchmark(f"folder:{tmp_path}/tree", 0, chosen)
    assert (folder.n_tasks, folder.spec.image_shape) == (2, (10, 10, 1))
    assert load_benchmark(f"npz:{tmp_path}/npz", 0, chosen).n_tasks == 1
