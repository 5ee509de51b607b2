"""One's own data as a benchmark: a tree of images, an .npz a task, or a prepared TFDS set."""

import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from uncle_jax.data.benchmark import Benchmark
from uncle_jax.data.publishers.archives import first_line
from uncle_jax.data.split import select
from uncle_jax.errors import UncleError
from uncle_jax.tasks import Data

IMAGE_FILES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff")
NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
Tasks = Sequence[Sequence[str]]  # class names of each task


def image_folder(
    root: Path,
    classes_per_task: int = 10,
    tasks: Tasks | None = None,
    image_size: int | None = None,
) -> Benchmark:
    """Tasks from `root/train/CLASS/*.png` and `root/test/CLASS/*.png` (or `val`).

    The classes, in the order of their names, are split into tasks of `classes_per_task` (the last
    may have fewer), or as `tasks` lists them. Images become RGB unless all are grey, and are
    resized to `image_size`, or else to the most frequent size. Raises UncleError that names the
    file if one is no image.
    """
    test = next((root / name for name in ("test", "val") if (root / name).is_dir()), root / "test")
    folders = {"train": root / "train", "test": test}
    files = {split: _files(folder) for split, folder in folders.items()}
    _same_classes(root, files["train"], files["test"])
    plan = task_plan(list(files["train"]), classes_per_task, tasks)
    grey, size = _look(files, image_size)
    given = []
    for names in plan:
        splits = {}
        for split, of_class in files.items():
            paths = [(path, label) for label, name in enumerate(names) for path in of_class[name]]
            images = np.stack([_read_image(path, grey, size) for path, _ in paths])
            splits[split] = (images, np.asarray([label for _, label in paths], np.int32))
        given.append(splits)
    told = {"root": str(root), "tasks": [list(names) for names in plan], "image_size": list(size)}
    return Benchmark.from_arrays(given, "folder", provenance=told)


def npz_folder(root: Path) -> Benchmark:
    """Tasks from `root/*.npz`, in the order of their names: x_train, y_train, x_test, y_test.

    Images [N, H, W] or [N, H, W, D], uint8 or float in 0..1; labels from 0. Raises UncleError.
    """
    paths = sorted(root.glob("*.npz")) if root.is_dir() else []
    if not paths:
        raise UncleError(f"no .npz file in {root.absolute()} (one a task is expected)")
    given = []
    for path in paths:
        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                table = {key: file[key] for key in ("x_train", "y_train", "x_test", "y_test")}
        except KeyError as error:
            raise UncleError(
                f"{path}: {error.args[0]} (x_train, y_train, x_test, y_test)"
            ) from None
        except (OSError, EOFError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
            raise UncleError(f"{path} cannot be read as .npz ({error})") from None
        given.append({s: (table[f"x_{s}"], table[f"y_{s}"]) for s in ("train", "test")})
    return Benchmark.from_arrays(given, "npz", provenance={"files": [p.name for p in paths]})


def tfds_benchmark(
    name: str, data_dir: Path | None, classes_per_task: int = 10, tasks: Tasks | None = None
) -> Benchmark:
    """Tasks from a TFDS set with `image` and `label` that is prepared as array_record.

    Splits `train` and `test` (or `validation`). It is looked for in `data_dir`, where a set needs
    no code of its own, then in TFDS's own folder. Raises UncleError.
    """
    try:
        builder = _tfds_builder(name, data_dir)
        test = "test" if "test" in builder.info.splits else "validation"
        records = {"train": builder.as_data_source(split="train")}
        records["test"] = builder.as_data_source(split=test)
        names: list[str] = builder.info.features["label"].names
        builder.info.features["image"]
    except Exception as error:  # TFDS raises many kinds, several of them its own
        raise UncleError(
            f"TFDS cannot read {name!r} as prepared images with labels ({first_line(error)})"
        ) from None
    plan = task_plan(names, classes_per_task, tasks)
    splits = {split: _records(source) for split, source in records.items()}
    given = []
    for classes in plan:
        relabel = {names.index(c): label for label, c in enumerate(classes)}
        given.append({split: tuple(select(data, relabel)) for split, data in splits.items()})
    told = {"tfds": builder.info.full_name, "tasks": [list(classes) for classes in plan]}
    return Benchmark.from_arrays(given, f"tfds:{name}", provenance=told)


def _tfds_builder(name: str, data_dir: Path | None) -> Any:
    import tensorflow_datasets as tfds

    if data_dir is not None:
        home = data_dir / name.replace(":", "/")  # NAME, NAME/CONFIG or NAME:VERSION
        infos = sorted(home.glob("**/dataset_info.json"))  # the newest version is the last
        if infos:
            return tfds.builder_from_directory(str(infos[-1].parent))
    return tfds.builder(name)


def task_plan(names: list[str], classes_per_task: int, tasks: Tasks | None) -> list[list[str]]:
    """Class names of each task: as `tasks` lists them, or so many of `names` at a time."""
    if tasks is None:
        if classes_per_task < 2:
            raise UncleError(f"--classes-per-task must be 2 or more, not {classes_per_task}")
        starts = range(0, len(names), classes_per_task)
        plan = [names[start : start + classes_per_task] for start in starts]
        if len(plan[-1]) < 2:
            raise UncleError(
                f"{len(names)} classes in tasks of {classes_per_task} leave a task with a single "
                "class; choose another --classes-per-task, or list the tasks with --tasks"
            )
        return plan
    for index, classes in enumerate(tasks):
        unknown = set(classes) - set(names)
        if unknown:
            raise UncleError(
                f"task {index} lists the unknown class {sorted(unknown)[0]!r} "
                f"(allowed: {', '.join(names[:20])}{', ...' if len(names) > 20 else ''})"
            )
        if len(set(classes)) < len(classes) or len(classes) < 2:
            raise UncleError(f"task {index} must list two classes or more, each once")
    return [list(classes) for classes in tasks]


def read_tasks(path: Path) -> list[list[str]]:
    """The JSON file of --tasks: a list that holds, for each task, the list of its class names."""
    try:
        tasks = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UncleError(f"cannot read --tasks {path} ({error})") from None
    lists = isinstance(tasks, list) and tasks and all(isinstance(task, list) for task in tasks)
    if not lists or not all(isinstance(name, str) for task in tasks for name in task):
        raise UncleError(f'--tasks {path} must hold lists of class names: [["cat", "dog"], ...]')
    return tasks


def _files(folder: Path) -> dict[str, list[Path]]:
    """The image files of each class folder below `folder`, in the order of their names."""
    classes = sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    if not classes:
        raise UncleError(
            f"no class folder in {folder.absolute()} (expected ROOT/train/CLASS/*.png)"
        )
    files = {}
    for path in classes:
        found = sorted(f for f in path.iterdir() if f.suffix.lower() in IMAGE_FILES)
        if not found:
            raise UncleError(f"no image in {path} (allowed: {', '.join(IMAGE_FILES)})")
        files[path.name] = found
    return files


def _same_classes(root: Path, train: Mapping[str, Any], test: Mapping[str, Any]) -> None:
    odd = sorted(set(train) ^ set(test))
    if odd:
        where = "train" if odd[0] in train else "test"
        raise UncleError(f"{root}: class {odd[0]!r} is in {where} only")


def _look(
    files: Mapping[str, Mapping[str, list[Path]]], image_size: int | None
) -> tuple[bool, tuple[int, int]]:
    """Whether every image is grey, and the (height, width) that all are brought to."""
    sizes: Counter[tuple[int, int]] = Counter()
    grey = True
    for of_class in files.values():
        for paths in of_class.values():
            for path in paths:
                mode, (width, height) = _header(path)
                sizes[height, width] += 1
                grey = grey and mode in ("L", "1")
    if image_size is not None:
        return grey, (image_size, image_size)
    return grey, sizes.most_common(1)[0][0]


def _header(path: Path) -> tuple[str, tuple[int, int]]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.mode, image.size
    except Exception as error:  # Pillow raises many kinds
        raise _no_image(path, error) from None


def _read_image(path: Path, grey: bool, size: tuple[int, int]) -> np.ndarray:
    """[H, W, 1 or 3] uint8."""
    from PIL import Image

    try:
        with Image.open(path) as opened:
            image = opened.convert("L" if grey else "RGB")
    except Exception as error:  # Pillow raises many kinds
        raise _no_image(path, error) from None
    height, width = size
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[..., None] if grey else pixels


def _no_image(path: Path, error: Exception) -> UncleError:
    return UncleError(f"{path} is no readable image ({first_line(error)})")


def _records(source: Any) -> Data:
    images, labels = [], []
    for index in range(len(source)):
        record = source[index]
        images.append(record["image"])
        labels.append(record["label"])
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        some = ", ".join(map(str, sorted(shapes)[:3]))
        raise UncleError(f"the set's images differ in size ({some}); use an image folder instead")
    return Data(np.stack(images), np.asarray(labels, np.int32))
