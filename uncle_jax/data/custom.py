"""One's own data as a benchmark: a tree of images, an .npz a task, or a prepared TFDS set."""

import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from uncle_jax.data import pictures
from uncle_jax.data.benchmark import Benchmark
from uncle_jax.data.content import content
from uncle_jax.data.npz import read_arrays
from uncle_jax.data.publishers.archives import first_line
from uncle_jax.data.split import select
from uncle_jax.data.trees import expanded, left_out, leftovers, listed, scan
from uncle_jax.data.understood import SPLITS, Known
from uncle_jax.errors import UncleError
from uncle_jax.tasks import Data

NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
Tasks = Sequence[Sequence[str]]  # class names of each task


def image_folder(
    root: Path,
    classes_per_task: int = 10,
    tasks: Tasks | None = None,
    image_size: int | None = None,
) -> Benchmark:
    """Tasks from `root/train/CLASS/*.png` and `root/test/CLASS/*.png` (or `val`).

    The classes, in the natural order of their names (c2 before c10), are split into tasks of
    `classes_per_task` (the last may have fewer), or as `tasks` lists them. Images become RGB
    unless all are grey, and are resized to `image_size`, or else to the most frequent size; what
    else is done to them is in data/pictures.py. Raises UncleError that names the file if one is no
    image.
    """
    root = expanded(root)
    tree = scan(root)
    plan = task_plan(list(tree.files["train"]), classes_per_task, tasks)
    used = [
        {
            s: [(path, label) for label, c in enumerate(names) for path in tree.files[s][c]]
            for s in SPLITS
        }
        for names in plan
    ]
    paths = list(dict.fromkeys(path for task in used for s in SPLITS for path, _ in task[s]))
    rules, lines, remarks = pictures.survey(paths, image_size)
    given = [
        {
            split: (
                np.stack([pictures.read(path, rules) for path, _ in pairs]),
                np.asarray([label for _, label in pairs], np.int32),
            )
            for split, pairs in task.items()
        }
        for task in used
    ]
    unused = _unused(list(tree.files["train"]), plan)
    known = Known((), plan, tree.lines + lines, tree.remarks + remarks + unused)
    told = {"sha256": content(root, paths), "root": str(root)}
    told |= {"tasks": [list(names) for names in plan], "image_size": list(rules.size)}
    return Benchmark.from_arrays(given, "folder", provenance=told, known=known)


def npz_folder(root: Path) -> Benchmark:
    """Tasks from `root/*.npz`, in the natural order of their names (t2 before t10).

    Each holds x_train, y_train, x_test, y_test: images [N, H, W] or [N, H, W, D], uint8 or float
    in 0..1; labels from 0. Raises UncleError.
    """
    root = expanded(root)
    if root.is_file():
        raise UncleError(f"{root} is a file; npz: takes the folder of all tasks: npz:{root.parent}")
    if not root.is_dir():
        raise UncleError(f"no .npz file in {root.absolute()}: there is no such folder")
    found = listed(root, lambda path: path.suffix.lower() == ".npz" and not path.is_dir())
    left = left_out(root, found.left, "that are no .npz")
    if not found.kept:
        held = f"; {left[0]}" if left else ""
        raise UncleError(f"no .npz file in {root.absolute()} (one a task is expected){held}")
    given = []
    for path in found.kept:
        table = read_arrays(path, NPZ_KEYS)
        given.append({s: (table[f"x_{s}"], table[f"y_{s}"]) for s in SPLITS})
    known = Known(tuple(map(str, found.kept)), (), leftovers(root, found.hidden), left)
    told = {"sha256": content(root, found.kept), "files": [path.name for path in found.kept]}
    return Benchmark.from_arrays(given, "npz", provenance=told, known=known)


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
    unlabelled = tuple(
        f"left out: {n} {split} images without a label of the set"
        for split, data in splits.items()
        if (n := int(np.sum((data.labels < 0) | (data.labels >= len(names)))))
    )
    home = Path(builder.data_path)
    sha = content(home, (path for path in home.rglob("*") if path.is_file()))
    known = Known((), plan, (), _unused(names, plan) + unlabelled)
    told = {"sha256": sha, "tfds": builder.info.full_name}
    told |= {"tasks": [list(classes) for classes in plan]}
    return Benchmark.from_arrays(given, f"tfds:{name}", provenance=told, known=known)


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
    tasks = [[unicodedata.normalize("NFC", name) for name in classes] for classes in tasks]
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


def _unused(names: Sequence[str], plan: Tasks) -> tuple[str, ...]:
    """A remark on the classes that no task has, or none."""
    listed_ = {name for task in plan for name in task}
    unused = [name for name in names if name not in listed_]
    more = ", ..." if len(unused) > 5 else ""
    told = f"left out: {len(unused)} classes that --tasks does not list"
    return (f"{told} ({', '.join(unused[:5])}{more})",) if unused else ()


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
