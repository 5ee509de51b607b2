"""What of a folder counts, in which order, and what is said of the rest."""

import unicodedata

import pytest
from PIL import Image

from uncle_jax.data.trees import expanded, natural, scan
from uncle_jax.errors import UncleError


def tree(root, names=("a", "b"), file="0.png"):
    for split in ("train", "test"):
        for name in names:
            (root / split / name).mkdir(parents=True)
            Image.new("L", (2, 2)).save(root / split / name / file)
    return root


def test_numbers_in_names_sort_as_numbers(tmp_path):
    names = [f"c{i}" for i in (10, 2, 1, 0)]
    assert list(scan(tree(tmp_path, names)).files["train"]) == ["c0", "c1", "c2", "c10"]
    assert sorted(["t10.npz", "t2.npz", "t1.npz"], key=natural) == ["t1.npz", "t2.npz", "t10.npz"]


@pytest.mark.parametrize(
    "name", ["._0.png", ".DS_Store", "Thumbs.db", "desktop.ini", ".ipynb_checkpoints/", "__MACOSX/"]
)
def test_leftovers_are_ignored_and_named_once(tmp_path, name):
    root = tree(tmp_path)
    for place in (root, root / "train", root / "train" / "a"):
        path = place / name
        path.mkdir() if name.endswith("/") else path.write_bytes(b"\0\5\x16\7")
    found = scan(root)
    assert list(found.files["train"]) == ["a", "b"]
    assert [path.name for path in found.files["train"]["a"]] == ["0.png"]
    assert found.remarks == ()
    (line,) = found.lines
    assert line.startswith("ignored: 3 hidden files or leftovers")
    assert name.rstrip("/") in line


def test_what_is_left_out_is_counted(tmp_path):
    root = tree(tmp_path)
    (root / "train/a/notes.txt").write_text("x")
    (root / "train/b/x.svg").write_text("x")
    (root / "extra").mkdir()
    (remark,) = scan(root).remarks
    assert remark.startswith("left out: 2 files whose names do not end as an image's")
    assert "1 folder (extra)" in remark


@pytest.mark.parametrize("ending", ["PNG", "jfif", "ppm", "JPEG"])
def test_more_endings_are_images(tmp_path, ending):
    root = tree(tmp_path)
    (root / f"train/a/1.{ending}").write_bytes((root / "train/a/0.png").read_bytes())
    assert len(scan(root).files["train"]["a"]) == 2


def test_images_in_the_only_folder_below_are_found_and_told(tmp_path):
    root = tree(tmp_path)
    for folder in root.glob("*/*"):
        (folder / "images").mkdir()
        (folder / "0.png").rename(folder / "images" / "0.png")
    found = scan(root)
    assert [path.parent.name for path in found.files["test"]["b"]] == ["images"]
    assert any("images/" in line for line in found.lines)


def test_composed_and_decomposed_names_are_alike(tmp_path):
    root = tree(tmp_path, ("café", "b"))
    decomposed = unicodedata.normalize("NFD", "café")
    (root / "test" / "café").rename(root / "test" / decomposed)
    files = scan(root).files
    assert set(files["train"]) == set(files["test"]) == {"café", "b"}


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("Train", "Test"), "found Test/, Train/"),
        (("training", "testing"), "found testing/, training/"),
        (("cats", "dogs"), "found cats/, dogs/"),
        ((), "has no folder"),
    ],
)
def test_other_layouts_name_what_was_found(tmp_path, names, told):
    for name in names:
        (tmp_path / name).mkdir()
    with pytest.raises(UncleError, match=told):
        scan(tmp_path)


def test_one_folder_too_high_is_told(tmp_path):
    tree(tmp_path / "inner")
    with pytest.raises(UncleError, match=r"folder:.*inner"):
        scan(tmp_path)


def test_a_class_spelt_otherwise_is_told(tmp_path):
    root = tree(tmp_path)
    (root / "test/a").rename(root / "test/A")
    with pytest.raises(UncleError, match="class 'A' is in test only; train has 'a'"):
        scan(root)


def test_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded(tmp_path.__class__("~/pics")) == tmp_path / "pics"
