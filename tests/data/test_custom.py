"""One's own data: a tree of images, an .npz a task, a prepared TFDS set."""

import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from publishing import one_line, pixels

from uncle_jax.core.inputs import mask_logits, task_input
from uncle_jax.data.custom import image_folder, npz_folder
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


# --------------------------------------------------------------------------------------------------
# An .npz a task


def npz(path: Path, n_classes: int = 2, shape: tuple[int, ...] = (6, 8), **change) -> Path:
    labels = np.arange(3 * n_classes) % n_classes
    table = {"x_train": pixels(n_classes, len(labels), *shape), "y_train": labels}
    table |= {"x_test": pixels(9, n_classes, *shape), "y_test": np.arange(n_classes)}
    table = {key: value for key, value in (table | change).items() if value is not None}
    np.savez(path, **table)
    return path


def test_npz_tasks_in_the_order_of_their_names_may_differ_in_everything(tmp_path):
    npz(tmp_path / "b.npz", 4, (6, 8))
    npz(tmp_path / "c.npz", 3, (5, 9, 3))
    npz(tmp_path / "a.npz", 2, (7, 7, 1), x_test=np.random.RandomState(0).rand(2, 7, 7, 1))
    benchmark = npz_folder(tmp_path)
    assert benchmark.provenance["files"] == ["a.npz", "b.npz", "c.npz"]
    spec = benchmark.spec
    assert (spec.image_shape, spec.n_classes) == ((7, 9, 3), 4)
    assert [spec.task(t).n_classes for t in range(3)] == [2, 4, 3]
    np.testing.assert_array_equal(benchmark.load(1, "train").images, pixels(4, 12, 6, 8)[..., None])
    assert benchmark.load(0, "test").images.dtype == float
    # The logits of classes that a task has not are never its answer.
    for task, n_classes in enumerate((2, 4, 3)):
        masked = mask_logits(np.zeros((1, 4), np.float32), task_input(spec, task, (7, 9, 3)))
        assert int(np.sum(np.exp(masked) > 0)) == n_classes


@pytest.mark.parametrize("key", ["x_train", "y_train", "x_test", "y_test"])
def test_a_missing_key_is_named_with_its_file(tmp_path, key):
    npz(tmp_path / "a.npz")
    path = npz(tmp_path / "b.npz", **{key: None})
    with pytest.raises(UncleError, match=f"{path}: {key}") as caught:
        npz_folder(tmp_path)
    one_line(caught)


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def test_a_pickled_npz_is_refused_and_not_run(tmp_path):
    ran = tmp_path / "ran"
    path = npz(tmp_path / "a.npz", y_train=np.asarray([Evil(str(ran))] * 6, object))
    with np.load(path, allow_pickle=True) as file:
        file["y_train"]
    assert ran.is_dir()  # as a plain reader would
    ran.rmdir()
    with pytest.raises(UncleError, match=f"{path} cannot be read") as caught:
        npz_folder(tmp_path)
    assert "allow_pickle=False" in one_line(caught)
    assert not ran.exists()


@pytest.mark.parametrize("wrong", ["empty", "text", "npy", "truncated", "flipped", "packed"])
def test_a_file_that_is_no_npz_is_named_in_a_line(tmp_path, wrong):
    path = npz(tmp_path / "a.npz")
    raw = bytearray(path.read_bytes())
    if wrong == "npy":
        file = io.BytesIO()
        np.save(file, np.zeros(3))
        raw = file.getvalue()
    elif wrong == "flipped":
        raw[200] ^= 1  # in the pixels: their checksum tells
    elif wrong == "packed":
        np.savez_compressed(path, x_train=pixels(0, 9, 6, 8))
        raw = bytearray(path.read_bytes())
        raw[80:84] = b"\xff" * 4
    path.write_bytes({"empty": b"", "text": b"x,y\n1,2\n", "truncated": raw[:-30]}.get(wrong, raw))
    with pytest.raises(UncleError, match=f"{path} cannot be read as .npz") as caught:
        npz_folder(tmp_path)
    one_line(caught)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y_train": np.asarray(["cat", "dog"] * 3)}, "task 0 train: labels must be integers"),
        ({"y_train": np.arange(6) - 1}, "task 0 train: labels run from -1"),
        ({"y_test": np.arange(3)}, "task 0 test: 2 images and labels of shape"),
        ({"y_train": np.zeros((6, 1), int)}, "task 0 train: 6 images and labels of shape"),
        ({"x_train": pixels(0, 6, 6, 8, 2)}, "channels|images are"),
        ({"x_test": np.zeros((2, 6, 8), int)}, "task 0 test: images are int64"),
        ({"x_test": np.zeros((2, 48), np.uint8)}, "task 0 test: images must be"),
    ],
)
def test_arrays_that_are_no_labelled_images_are_told_in_a_line(tmp_path, change, message):
    npz(tmp_path / "a.npz", 2, (6, 8, 3), **change)
    with pytest.raises(UncleError, match=message) as caught:
        npz_folder(tmp_path)
    one_line(caught)


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_without_npz_is_named(tmp_path, there):
    folder = tmp_path if there else tmp_path / "no"
    with pytest.raises(UncleError, match=f"no .npz file in {folder}"):
        npz_folder(folder)


def test_own_data_is_loaded_by_name(tmp_path):
    tree_of(tmp_path / "tree")
    (tmp_path / "npz").mkdir()
    npz(tmp_path / "npz/a.npz")
    chosen = Choice(Options(tmp_path, download=False), classes_per_task=3, image_size=10)
    folder = load_benchmark(f"folder:{tmp_path}/tree", 0, chosen)
    assert (folder.n_tasks, folder.spec.image_shape) == (2, (10, 10, 1))
    assert load_benchmark(f"npz:{tmp_path}/npz", 0, chosen).n_tasks == 1
