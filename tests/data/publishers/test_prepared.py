"""A source made ready once: what is kept, and what every kind of accident leaves behind."""

import dataclasses
import gzip
import hashlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from publishing import (
    FILES,
    MNIST,
    MNIST_FILES,
    cifar100_members,
    classes,
    idx_bytes,
    notmnist_members,
    one_bit_flipped,
    one_line,
    options,
    pixels,
    published,
    put,
    serving,
    sha256,
    svhn_files,
    tar_bytes,
    tiny_imagenet_members,
    tree,
    zip_bytes,
)

from uncle_jax.data.publishers import catalogue as sources
from uncle_jax.data.publishers import formats as readers
from uncle_jax.data.publishers import prepared
from uncle_jax.data.publishers import records as builders
from uncle_jax.data.publishers.archives import open_tar, read_member
from uncle_jax.data.publishers.catalogue import SOURCES
from uncle_jax.data.publishers.formats import decode
from uncle_jax.data.publishers.prepared import Options, describe, prepare
from uncle_jax.errors import UncleError


def put_mnist(folder: Path) -> Options:
    put(folder / "mnist", FILES)
    return options(folder)


def assert_whole(folder: Path) -> None:
    """MNIST of FILES lies prepared below `folder`, with nothing beside it."""
    ready = prepare(MNIST, options(folder))
    np.testing.assert_array_equal(ready.splits["train"].images, pixels(0, 30, 28, 28)[..., None])
    np.testing.assert_array_equal(ready.splits["test"].images, pixels(1, 20, 28, 28)[..., None])
    assert sorted(p.name for p in (folder / "prepared").iterdir()) == [".mnist.lock", "mnist"]


def assert_nothing_prepared(folder: Path) -> None:
    home = folder / "prepared"
    assert [p.name for p in home.glob("*") if not p.name.endswith(".lock")] == []


# --------------------------------------------------------------------------------------------------
# What is kept


def test_a_prepared_set_has_the_publishers_order_counts_balance_and_checksum(tmp_path):
    ready = prepare(MNIST, put_mnist(tmp_path))
    for split, seed, n in (("train", 0, 30), ("test", 1, 20)):
        images, labels = ready.splits[split]
        expected = pixels(seed, n, 28, 28)[..., None]
        np.testing.assert_array_equal(images, expected)
        assert images.dtype == np.uint8
        assert labels.tolist() == classes(n).tolist()
        assert labels.dtype == np.int32
        assert ready.manifest[split] == {
            "images": n,
            "per_class": [n // 10] * 10,
            "sha256": hashlib.sha256(expected.tobytes()).hexdigest(),
        }
    assert ready.manifest["verified"] == "publisher"
    assert ready.manifest["archives"] == {k: f"sha256:{sha256(v)}" for k, v in FILES.items()}
    assert ready.remark is None


def test_a_record_of_it_for_a_run_leaves_out_the_balance(tmp_path):
    told = describe(prepare(MNIST, put_mnist(tmp_path)))
    assert set(told) == {
        "source", "verified", "archives", "image_shape", "skipped", "train", "test",
    }  # fmt: skip
    assert told["image_shape"] == [28, 28, 1]
    assert set(told["train"]) == {"images", "sha256"}
    json.dumps(told)


def test_its_images_are_mapped_from_disk_and_cannot_be_written(tmp_path):
    images = prepare(MNIST, put_mnist(tmp_path)).splits["train"].images
    assert isinstance(images, np.memmap)
    assert images.filename == tmp_path / "prepared/mnist/train_images.npy"
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


def test_a_second_start_needs_no_archive_and_writes_nothing(tmp_path, monkeypatch):
    first = prepare(MNIST, put_mnist(tmp_path))
    shutil.rmtree(tmp_path / "mnist")
    before = tree(tmp_path)
    times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    monkeypatch.setattr(builders, "build", None)
    second = prepare(MNIST, options(tmp_path))
    np.testing.assert_array_equal(second.splits["test"].images, first.splits["test"].images)
    assert second.manifest == first.manifest
    assert tree(tmp_path) == before
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


@pytest.mark.parametrize("split", ["train", "test"])
def test_its_records_are_read_by_plain_tfds(tmp_path, split):
    ready = prepare(MNIST, put_mnist(tmp_path))
    (info,) = (tmp_path / "prepared/mnist/records").rglob("dataset_info.json")
    builder = tfds.builder_from_directory(str(info.parent))
    records = list(builder.as_data_source(split=split))
    assert builder.info.features["label"].num_classes == 10
    np.testing.assert_array_equal(
        np.stack([r["image"] for r in records]), ready.splits[split].images
    )
    assert [r["label"] for r in records] == ready.splits[split].labels.tolist()


def test_cifar100_svhn_and_notmnist_are_prepared_in_colour_and_grey(tmp_path):
    for source, files, n_train in (
        (sources.CIFAR100, {"cifar-100-binary.tar.gz": tar_bytes(cifar100_members(100, 10))}, 100),
        (sources.SVHN, svhn_files(20, 10), 20),
    ):
        put(tmp_path / source.name, files)
        ready = prepare(published(source, files), options(tmp_path))
        assert ready.splits["train"].images.shape == (n_train, 32, 32, 3)
        assert len(ready.manifest["train"]["per_class"]) == source.n_classes
        assert set(ready.manifest["train"]["per_class"]) == {n_train // source.n_classes}
    np.testing.assert_array_equal(ready.splits["train"].images, pixels(0, 20, 32, 32, 3))
    files = {"notMNIST_small.tar.gz": tar_bytes(notmnist_members())}
    put(tmp_path / "notmnist", files)
    ready = prepare(published(sources.NOTMNIST, files), options(tmp_path))
    assert len(ready.manifest["skipped"]) == 2
    assert ready.manifest["train"]["images"] + ready.manifest["test"]["images"] == 120


def test_jpegs_are_decoded_as_pillow_decodes_them_and_grey_ones_repeated(tmp_path):
    files = {"tiny-imagenet-200.zip": zip_bytes(tiny_imagenet_members())}
    put(tmp_path / "tiny_imagenet", files)
    ready = prepare(published(sources.TINY_IMAGENET, files), options(tmp_path))
    members = tiny_imagenet_members()
    for index in range(4):
        image = decode(members[f"tiny-imagenet-200/val/images/val_{3 - index}.JPEG"])
        np.testing.assert_array_equal(
            ready.splits["test"].images[index], np.broadcast_to(image, (64, 64, 3))
        )
    assert ready.splits["test"].labels.tolist() == [2, 1, 0, 2]
    assert ready.splits["train"].images.shape == (6, 64, 64, 3)


def test_the_python_variant_is_taken_where_only_it_is_there(tmp_path):
    put(tmp_path, {"cifar-100-python.tar.gz": b"x"})
    variant, found = prepared.obtain(sources.CIFAR100, options(tmp_path, "cifar100"))
    assert variant[1] is readers.read_cifar100_python
    assert list(found) == ["cifar-100-python.tar.gz"]
    put(tmp_path, {"cifar-100-binary.tar.gz": b"x"})
    variant, _ = prepared.obtain(sources.CIFAR100, options(tmp_path, "cifar100"))
    assert variant[1] is readers.read_cifar100_binary


@pytest.mark.parametrize(
    ("name", "files", "reader"),
    [
        ("cifar100", ["cifar-100-python/train", "cifar-100-python/test"], "read_cifar100_python"),
        (
            "cifar100",
            ["cifar100/cifar-100-binary/train.bin", "cifar100/cifar-100-binary/test.bin"],
            "read_cifar100_binary",
        ),
        ("mnist", [f"MNIST/raw/{name}" for name in MNIST_FILES], "read_mnist"),
        ("mnist", [f"MNIST/raw/{n.removesuffix('.gz')}" for n in MNIST_FILES], "read_mnist"),
        ("fashion_mnist", [f"FashionMNIST/raw/{name}" for name in MNIST_FILES], "read_mnist"),
        ("kmnist", [f"KMNIST/raw/{name}" for name in MNIST_FILES], "read_mnist"),
        ("mnist", ["mnist.npz"], "read_mnist_npz"),
        ("svhn", ["train_32x32.mat", "test_32x32.mat"], "read_svhn"),
        (
            "cifar10",
            [f"cifar-10-batches-py/data_batch_{i}" for i in range(1, 6)]
            + ["cifar-10-batches-py/test_batch"],
            "read_cifar10_python",
        ),
    ],
)
def test_archives_are_found_as_torchvision_and_keras_leave_them(tmp_path, name, files, reader):
    put(tmp_path, dict.fromkeys(files, b"x"))
    variant, found = prepared.obtain(SOURCES[name], options(tmp_path, name))
    assert variant[1] is getattr(readers, reader)
    assert {one.path for one in found.values()} == {tmp_path / file for file in files}


def test_missing_archives_are_fetched_and_prepared(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    told = []
    with serving(FILES) as server:
        source = published(sources.MNIST, FILES, server.url)
        prepare(source, Options(tmp_path, (), True, lambda *all_: told.append(all_)))
    assert [name for name, done, total in told if done == total] == list(MNIST_FILES)
    assert tree(tmp_path / "mnist") == FILES
    assert_whole(tmp_path)


# --------------------------------------------------------------------------------------------------
# Archives that are not there, or not the publisher's


def test_a_missing_archive_is_named_with_place_and_source_and_nothing_is_written(tmp_path):
    put_mnist(tmp_path)
    (tmp_path / "mnist" / MNIST_FILES[2]).unlink()
    with pytest.raises(UncleError, match=f"missing {MNIST_FILES[2]} in ") as caught:
        prepare(MNIST, options(tmp_path))
    message = one_line(caught)
    for part in (str(tmp_path / "mnist"), "http://127.0.0.1:9/t10k", "--no-download"):
        assert part in message
    assert not (tmp_path / "prepared").exists()


def test_what_lies_there_instead_is_named(tmp_path):
    put(tmp_path / "kmnist", dict.fromkeys(["k-imgs.npz", "k-labels.npz", "t.npz", "u.npz"], b"x"))
    with pytest.raises(UncleError, match=r"which holds k-imgs.npz, k-labels.npz, t.npz and 1 more"):
        prepare(SOURCES["kmnist"], options(tmp_path))


def test_an_archive_that_was_replaced_is_not_what_was_prepared(tmp_path):
    first = prepare(MNIST, put_mnist(tmp_path))
    path = tmp_path / "mnist" / MNIST_FILES[1]
    before = path.stat()
    path.write_bytes(idx_bytes(classes(30)[::-1]))
    for _ in range(2):
        with pytest.raises(UncleError, match="was prepared from another train-labels") as caught:
            prepare(MNIST, options(tmp_path, "mnist"))
        assert f"delete {tmp_path / 'prepared' / 'mnist'} to prepare this" in one_line(caught)
    path.write_bytes(FILES[MNIST_FILES[1]])  # the same again, at another time
    assert prepare(MNIST, options(tmp_path)).manifest == first.manifest
    path.unlink()
    assert prepare(MNIST, options(tmp_path)).manifest == first.manifest
    put(tmp_path / "mnist", {MNIST_FILES[1]: b"?" * before.st_size})
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert prepare(MNIST, options(tmp_path)).manifest == first.manifest  # looks as it did: not read


def test_another_packing_of_the_publishers_own_images_is_no_other_archive(tmp_path):
    packed = [dataclasses.replace(a, contents=(("", f"sha256:{_content(a.name)}"),)) for a in ALL]
    source = dataclasses.replace(MNIST, variants=((tuple(packed), readers.read_mnist),))
    put(tmp_path / "mnist", {n.removesuffix(".gz"): gzip.decompress(r) for n, r in FILES.items()})
    first = prepare(source, options(tmp_path))
    assert first.manifest["verified"] == "contents"
    put_mnist(tmp_path)  # found first, where both are there
    assert prepare(source, options(tmp_path)).manifest == first.manifest
    put(tmp_path / "mnist", {MNIST_FILES[1]: gzip.compress(b"another")})
    with pytest.raises(UncleError, match="was prepared from another"):
        prepare(source, options(tmp_path))


(ALL, _), *_ = MNIST.variants


def _content(name: str) -> str:
    return sha256(gzip.decompress(FILES[name]))


@pytest.mark.parametrize("damage", ["truncated", "flipped", "swapped"])
@pytest.mark.parametrize("name", ["mnist", "cifar100", "tiny_imagenet"])
def test_a_damaged_archive_is_named_with_both_checksums_and_nothing_prepared(
    tmp_path, name, damage
):
    files = {
        "mnist": FILES,
        "cifar100": {"cifar-100-binary.tar.gz": tar_bytes(cifar100_members(10, 10))},
        "tiny_imagenet": {"tiny-imagenet-200.zip": zip_bytes(tiny_imagenet_members())},
    }[name]
    first, raw = next(iter(files.items()))
    bad = {
        "truncated": raw[:-100],
        "flipped": one_bit_flipped(raw),
        "swapped": b"<html>a wrong file under the right name</html>",
    }[damage]
    put(tmp_path / name, files | {first: bad})
    with pytest.raises(UncleError, match=f"{sha256(bad)}.*expected {sha256(raw)}") as caught:
        prepare(published(SOURCES[name], files), options(tmp_path))
    message = one_line(caught)
    assert str(tmp_path / name / first) in message
    assert f"--accept {name}" in message
    assert_nothing_prepared(tmp_path)


def one_label(label: int, n: int = 30) -> bytes:
    return idx_bytes(np.asarray([*classes(n - 1), label]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({MNIST_FILES[0]: FILES[MNIST_FILES[0]][:-100]}, f"{MNIST_FILES[0]} is damaged"),
        ({MNIST_FILES[1]: one_label(10)}, r"train image 29 has label 10 \(0 to 9\)"),
        (
            {MNIST_FILES[2]: idx_bytes(pixels(0, 20, 14, 14))},
            r"test image 0 is \[14, 14, 1\] \(expected \[28, 28, 1\]\)",
        ),
        (
            {
                MNIST_FILES[2]: idx_bytes(pixels(0, 0, 28, 28)),
                MNIST_FILES[3]: idx_bytes(classes(0)),
            },
            "no test image",
        ),
    ],
    ids=["truncated", "label", "size", "empty"],
)
def test_an_accepted_archive_that_cannot_be_used_leaves_nothing(tmp_path, change, message):
    put(tmp_path / "mnist", FILES | change)
    with pytest.raises(UncleError, match=message) as caught:
        prepare(MNIST, options(tmp_path, "mnist"))
    one_line(caught)
    assert_nothing_prepared(tmp_path)


def test_a_broken_image_in_an_accepted_archive_is_named_and_leaves_nothing(tmp_path):
    members = tiny_imagenet_members()
    name = "tiny-imagenet-200/train/n01/images/n01_1.JPEG"
    bad = zip_bytes(members | {name: members[name][:1000]})
    put(tmp_path, {"tiny-imagenet-200.zip": bad})
    with pytest.raises(UncleError, match="train image 1 is damaged") as caught:
        prepare(sources.TINY_IMAGENET, options(tmp_path, "tiny_imagenet"))
    one_line(caught)
    assert_nothing_prepared(tmp_path)


def test_what_was_accepted_must_be_accepted_at_every_start_and_is_remarked(tmp_path):
    put(tmp_path / "mnist", FILES)  # sources.MNIST expects the real ones
    with pytest.raises(UncleError, match=r"is not the publisher's.*--accept mnist"):
        prepare(sources.MNIST, options(tmp_path))
    assert_nothing_prepared(tmp_path)
    remark = (
        "mnist: not the publisher's archive (30 of 60,000 train images, 20 of 10,000 test images)"
    )
    for _ in range(2):
        assert prepare(sources.MNIST, options(tmp_path, "mnist")).remark == remark
        with pytest.raises(UncleError) as caught:
            prepare(sources.MNIST, options(tmp_path, "kmnist"))
        assert one_line(caught).startswith(remark)
        assert "--accept mnist" in str(caught.value)


def test_accepting_a_set_does_not_mark_the_publishers_archive(tmp_path):
    put_mnist(tmp_path)
    ready = prepare(MNIST, options(tmp_path, "mnist"))
    assert ready.manifest["verified"] == "publisher"
    assert ready.remark is None


def test_one_accepted_file_among_the_publishers_marks_the_set(tmp_path):
    put(tmp_path / "mnist", FILES | {MNIST_FILES[1]: idx_bytes(classes(30)[::-1])})
    ready = prepare(dataclasses.replace(MNIST, counts=(30, 20)), options(tmp_path, "mnist"))
    assert ready.manifest["verified"] == "no"
    assert ready.remark == "mnist: not the publisher's archive (repacked)"


# --------------------------------------------------------------------------------------------------
# Accidents


@pytest.mark.parametrize("step", ["reader", "_room", "build", "_decode", "second _decode"])
def test_an_interruption_leaves_nothing_and_a_restart_succeeds(tmp_path, monkeypatch, step):
    put_mnist(tmp_path)
    calls = []

    def interrupt(*args, **kwargs):
        calls.append(step)
        if step == "second _decode" and len(calls) == 1:
            return decoding(*args, **kwargs)
        raise KeyboardInterrupt

    decoding, source = prepared._decode, MNIST
    if step == "reader":
        source = dataclasses.replace(MNIST, variants=((MNIST.variants[0][0], interrupt),))
    else:
        owner = builders if step == "build" else prepared
        monkeypatch.setattr(owner, step.removeprefix("second "), interrupt)
    with pytest.raises(KeyboardInterrupt):
        prepare(source, options(tmp_path))
    assert len(calls) == (2 if step == "second _decode" else 1)
    assert_nothing_prepared(tmp_path)
    monkeypatch.undo()
    assert_whole(tmp_path)


# Prepares MNIST of FILES in a folder. With "slow", says so and waits while it writes its records.
SCRIPT = """
import dataclasses, logging, sys, time
from pathlib import Path
from publishing import MNIST, options
from uncle_jax.data.publishers.prepared import prepare
from uncle_jax.data.publishers.formats import Splits

class Print(logging.Handler):
    def emit(self, record):
        print(record.getMessage(), flush=True)

def slow(paths):
    splits = MNIST.variants[0][1](paths)
    def train():
        for index, example in enumerate(splits.train):
            if index == 9:
                print("writing", file=sys.__stdout__, flush=True)  # TFDS is made silent
                time.sleep(float(sys.argv[2]))
            yield example
    return Splits(train(), splits.test)

logging.getLogger("uncle_jax").setLevel(logging.INFO)
logging.getLogger("uncle_jax").addHandler(Print())
source = dataclasses.replace(MNIST, variants=((MNIST.variants[0][0], slow),))
print(prepare(source, options(Path(sys.argv[1]))).manifest["train"]["sha256"])
"""


def start(script: str, *args: object) -> subprocess.Popen[str]:
    """A process of its own that can import the package and these tests."""
    root = Path(__file__).resolve().parents[3]
    environment = os.environ | {"PYTHONPATH": f"{root}{os.pathsep}{root / 'tests'}"}
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, args)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_a_restart_after_a_kill_prepares_it_all(tmp_path):
    put_mnist(tmp_path)
    with start(SCRIPT, tmp_path, 60) as process:
        lines = iter(process.stdout)
        assert next(lines) == "preparing mnist, once\n"
        assert next(lines) == "writing\n"
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert (tmp_path / "prepared/mnist.partial").is_dir()  # nobody was left to delete it
    assert not (tmp_path / "prepared/mnist").exists()
    assert_whole(tmp_path)


def test_of_two_processes_one_prepares_and_both_get_it(tmp_path):
    put_mnist(tmp_path)
    with start(SCRIPT, tmp_path, 0.5) as one, start(SCRIPT, tmp_path, 0.5) as other:
        told = sorted([one.communicate()[0].splitlines(), other.communicate()[0].splitlines()])
        assert one.returncode == other.returncode == 0, told
    digest = sha256(pixels(0, 30, 28, 28).tobytes())
    assert sorted(told, key=len) == [[digest], ["preparing mnist, once", "writing", digest]]
    assert_whole(tmp_path)


IMPORTED = """
import importlib.util, sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from uncle_jax.data.publishers.prepared import Options, prepare
from uncle_jax.data.publishers.catalogue import MNIST
for _ in range(int(sys.argv[2])):
    prepare(MNIST, Options(Path(sys.argv[1]), ("mnist",), False))
assert importlib.util.find_spec("tensorflow").origin.startswith(sys.argv[3])
print([name for name in ("tensorflow", "tensorflow_datasets", "numpy") if name in sys.modules])
"""


def test_preparing_never_imports_tensorflow_and_a_second_start_not_even_tfds(tmp_path):
    put(tmp_path / "mnist", FILES)
    put(tmp_path / "path/tensorflow", {"__init__.py": b""})  # it could be imported
    first, _ = start(IMPORTED, tmp_path, 2, tmp_path / "path").communicate()
    assert first == "['tensorflow_datasets', 'numpy']\n"
    second, _ = start(IMPORTED, tmp_path, 1, tmp_path / "path").communicate()
    assert second == "['numpy']\n"


def test_too_little_room_is_told_before_anything_is_written(tmp_path, monkeypatch):
    put_mnist(tmp_path)
    needed = 2 * 70_000 * 28 * 28
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(builders, "build", None)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=needed - 1))
    with pytest.raises(UncleError, match="the disk is full") as caught:
        prepare(MNIST, options(tmp_path))
    assert str(tmp_path / "prepared/mnist") in one_line(caught)
    assert_nothing_prepared(tmp_path)
    monkeypatch.undo()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=needed))
    assert_whole(tmp_path)


# On a file system of 1 MiB, filled but for ever more bytes until they are enough, so that it fills
# at every step: prints what prepare says, and what it leaves.
FULL = """
import dataclasses, shutil, sys
from pathlib import Path
from publishing import MNIST, options
from uncle_jax.data.publishers.prepared import prepare
from uncle_jax.errors import UncleError

disk, archives = map(Path, sys.argv[1:])
(disk / "mnist").symlink_to(archives)
source = dataclasses.replace(MNIST, counts=(1, 1))  # it looks as if there were room
for room in range(0, 1 << 20, 16_384):
    (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free - room))
    try:
        told = prepare(source, options(disk, "mnist")).manifest["train"]["images"]
    except UncleError as error:
        told = error
    (disk / "filler").unlink()
    left = sorted(p.name for p in (disk / "prepared").iterdir() if p.suffix != ".lock")
    print(told, left, flush=True)
    if left == ["mnist"]:
        break
"""


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs is refused here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_disk_that_fills_at_any_step_is_told_in_a_line_and_nothing_is_left(tmp_path, small_disk):
    put_mnist(tmp_path)
    out, _ = start(FULL, small_disk, tmp_path / "mnist").communicate()
    *failed, last = out.splitlines()
    home = small_disk / "prepared/mnist"
    assert set(failed) == {f"cannot prepare {home}: the disk is full; nothing was left there []"}
    assert len(failed) > 3
    assert last == "30 ['mnist']"


@pytest.mark.parametrize("name", ["train_images.npy", "test_labels.npy"])
@pytest.mark.parametrize("damage", ["truncated", "deleted"])
def test_a_prepared_file_that_is_no_longer_whole_is_named(tmp_path, name, damage):
    prepare(MNIST, put_mnist(tmp_path))
    path = tmp_path / "prepared/mnist" / name
    raw = path.read_bytes()
    path.unlink()
    if damage == "truncated":
        path.write_bytes(raw[:-1])
    with pytest.raises(UncleError, match=f"{path} is not whole; delete {path.parent}") as caught:
        prepare(MNIST, options(tmp_path))
    one_line(caught)
    shutil.rmtree(path.parent)
    assert_whole(tmp_path)


def test_a_broken_manifest_is_named(tmp_path):
    prepare(MNIST, put_mnist(tmp_path))
    path = tmp_path / "prepared/mnist/manifest.json"
    path.write_text(path.read_text()[:50])
    with pytest.raises(UncleError, match=f"cannot read {path}") as caught:
        prepare(MNIST, options(tmp_path))
    one_line(caught)


def test_a_set_of_another_format_is_prepared_again(tmp_path, caplog):
    prepare(MNIST, put_mnist(tmp_path))
    path = tmp_path / "prepared/mnist/manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 0}))
    (path.parent / "old.npy").write_bytes(b"")
    with caplog.at_level(logging.INFO, "uncle_jax"):
        assert_whole(tmp_path)
    assert [r.message for r in caplog.records if r.name.startswith("uncle_jax")] == [
        "preparing mnist, once"
    ]
    assert not (path.parent / "old.npy").exists()


def test_a_file_in_the_place_of_the_prepared_folder_is_told_in_a_line(tmp_path):
    put_mnist(tmp_path)
    (tmp_path / "prepared").write_text("in the way")
    with pytest.raises(UncleError, match=r"cannot prepare .*prepared/mnist") as caught:
        prepare(MNIST, options(tmp_path))
    one_line(caught)


# --------------------------------------------------------------------------------------------------
# The real archives, as rebuilt by the project

MNIST_TRAIN = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
MNIST_TEST = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
NOTMNIST_TRAIN = [1668, 1693, 1685, 1691, 1692, 1680, 1691, 1708, 1724, 1663]
NOTMNIST_TEST = [204, 180, 188, 182, 181, 192, 181, 164, 148, 209]
REAL = {  # how verified; then per split: images of each class, SHA-256 of all decoded pixels
    "mnist": (
        "contents",
        MNIST_TRAIN,
        "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
        MNIST_TEST,
        "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    ),
    "fashion_mnist": (
        "contents",
        [6000] * 10,
        "2e487a6c89124f78f2d7521542223cafe96f7123c3ca13d447772ac6ecbb3012",
        [1000] * 10,
        "c867c93ff95360594e8ec3287995350b824dd110b11595c0e13d5423f621867a",
    ),
    "kmnist": (
        "no",
        [800] * 10,
        "9f4bd614b7a6da3c90e01882dfd2303410cafca7b3d4ce88daa6bcc1888a8f40",
        [200] * 10,
        "2c5da55b52bc0eb5d6d21bb5371fe2b1afb5e0ae66a91eedd7fd369e889f1a6c",
    ),
    "notmnist": (
        "no",
        NOTMNIST_TRAIN,
        "f90b5cb6ab6654d97e5c4533ebf1ad0e4089a28264a95d0f27365be106f2d410",
        NOTMNIST_TEST,
        "02f6c3129b217ad6e739fc76e5abfd3f4244e3c29efd2a2fe30b495de3eb4a33",
    ),
    "cifar10": (
        "no",
        [1000] * 10,
        "a4a6e56e7e8ef6b6ea8f50f8329617d63bd52292e42f1ffda835f272b81a1f6d",
        [500] * 10,
        "f79d809ac0222af21968ac26a20dd384c0c858f33693373cab80735262ae7222",
    ),
    "cifar100": (
        "contents",
        [500] * 100,
        "4e457917601a66aed021f5fa37957b56c6319557c0a8ed5484de3c390af45430",
        [100] * 100,
        "4cb8e5d9309da489bf6b19cc10cd96c3ae6f8daf225380b605aaee4c0d6aee19",
    ),
    "tiny_imagenet": (
        "no",
        [165] * 200,
        "7715a7e62818092e9e5dee615601569f4602814b873c63c2c25a440544054184",
        [50] * 200,
        "c2fd10cde1427ad6f16f45c978a0060bfd8f664727f6ad977ea5590280d57b8f",
    ),
}


def real(name: str) -> prepared.Prepared:
    folder = Path(os.environ["UNCLE_DATA_DIR"])
    return prepare(SOURCES[name], options(folder, *SOURCES))


@pytest.mark.data
@pytest.mark.parametrize("name", REAL)
def test_the_real_set_has_its_counts_balance_and_pixels(name):
    verified, *expected = REAL[name]
    ready = real(name)
    assert ready.manifest["verified"] == verified
    for split, per_class, digest in (("train", *expected[:2]), ("test", *expected[2:])):
        images, labels = ready.splits[split]
        assert images.shape == (sum(per_class), *SOURCES[name].image_shape)
        assert np.bincount(labels).tolist() == per_class
        assert hashlib.sha256(images).hexdigest() == digest
        assert ready.manifest[split] == {
            "images": len(images), "per_class": per_class, "sha256": digest,
        }  # fmt: skip


@pytest.mark.data
def test_the_real_set_of_every_archive_there_is_checked():
    folder = Path(os.environ["UNCLE_DATA_DIR"])
    there = {name for name in SOURCES if any((folder / name).glob("*"))}
    assert there <= set(REAL)


@pytest.mark.data
@pytest.mark.parametrize(
    ("split", "digest"),
    [
        ("train", "6172c7755cfe09b2fe270c85cebc1b15"),
        ("test", "4499cfba6c016c1be1438163640a0898"),
    ],
)
def test_the_real_cifar100_equals_the_official_binary_bit_for_bit(split, digest):
    folder = Path(os.environ["UNCLE_DATA_DIR"])
    with open_tar(folder / "cifar100/cifar-100-binary.tar.gz") as tar:
        raw = read_member(tar, f"cifar-100-binary/{split}.bin")
    assert hashlib.md5(raw).hexdigest() == digest
    rows = np.frombuffer(raw, np.uint8).reshape(-1, 3074)
    images, labels = real("cifar100").splits[split]
    np.testing.assert_array_equal(labels, rows[:, 1])
    np.testing.assert_array_equal(images.transpose(0, 3, 1, 2).reshape(-1, 3072), rows[:, 2:])


@pytest.mark.data
def test_the_real_mnist_has_the_mean_that_the_authors_normalise_by():
    images = real("mnist").splits["train"].images
    assert images.mean() / 255 == pytest.approx(0.1307, abs=1e-4)
    assert images.std() / 255 == pytest.approx(0.3081, abs=1e-4)


def test_one_sets_files_are_not_taken_for_anothers_of_the_same_names(tmp_path):
    """MNIST, Fashion-MNIST and KMNIST share file names: only a folder of their own tells them."""
    put(tmp_path, FILES)
    accept = ("mnist", "fashion_mnist", "kmnist")
    for name in accept:
        with pytest.raises(UncleError, match=rf"missing train-images-.* in .*{name}"):
            prepare(SOURCES[name], options(tmp_path, *accept))
    put(tmp_path, {"tiny-imagenet-200.zip": b"x"})  # no other set's file has this name
    with pytest.raises(UncleError, match=r"not the publisher's tiny-imagenet-200\.zip"):
        prepare(SOURCES["tiny_imagenet"], options(tmp_path))
