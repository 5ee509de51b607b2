"""One's own data as a benchmark: a tree or a list of images, or an .npz a task."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from uncle_jax.data import pictures
from uncle_jax.data.benchmark import Benchmark
from uncle_jax.data.content import content
from uncle_jax.data.lists import read_lists
from uncle_jax.data.npz import read_arrays
from uncle_jax.data.plans import Tasks, task_plan, unused
from uncle_jax.data.trees import expanded, left_out, leftovers, listed, scan
from uncle_jax.data.understood import SPLITS, Known
from uncle_jax.errors import UncleError

F = TypeVar("F")
NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")


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
    names = list(tree.files["train"])
    plan = task_plan(names, classes_per_task, tasks)
    parts = [
        {s: [(path, y) for y, c in enumerate(classes) for path in tree.files[s][c]] for s in SPLITS}
        for classes in plan
    ]
    known = Known((), plan, tree.lines, tree.remarks + unused(names, plan))
    told = {"sha256": content(root, _files(parts)), "root": str(root)}
    return pictured("folder", parts, known, image_size, told)


def image_list(
    where: Path,
    classes_per_task: int = 10,
    tasks: Tasks | None = None,
    image_size: int | None = None,
) -> Benchmark:
    """Tasks from a CSV of image files with their labels and splits (data/lists.py).

    Where a column says the task, those are the tasks, and two of them may have classes of one name;
    else as of `image_folder`. Raises UncleError.
    """
    where = expanded(where)
    lists, files, remarks = read_lists(where)
    if "" in lists:
        names = lists[""].classes()
        plan = task_plan(names, classes_per_task, tasks)
        given, remarks = [lists[""]] * len(plan), remarks + unused(names, plan)
    elif tasks is not None:
        raise UncleError(f"--tasks, and {where} says each image's task: leave one of them out")
    else:
        plan, given = [one.classes() for one in lists.values()], list(lists.values())
    parts = [
        {s: [(path, y) for y, c in enumerate(classes) for path in one.files[c][s]] for s in SPLITS}
        for classes, one in zip(plan, given, strict=True)
    ]
    root = where if where.is_dir() else where.parent
    told = {"sha256": content(root, [*files, *_files(parts)]), "list": str(where)}
    return pictured("csv", parts, Known((), plan, (), remarks), image_size, told)


Labelled = Sequence[tuple[Path | pictures.Encoded, int]]


def pictured(
    name: str,
    parts: Sequence[Mapping[str, Labelled]],
    known: Known,
    image_size: int | None,
    told: Mapping[str, Any],
) -> Benchmark:
    """A benchmark of image files, {"train": (file, label)s, "test": ...} of each task.

    `known`: what is known of them, with the plan of classes; `told`: their provenance.
    """
    rules, lines, remarks = pictures.survey(_files(parts), image_size)
    given = [
        {
            split: (
                np.stack([pictures.read(path, rules) for path, _ in pairs]),
                np.asarray([label for _, label in pairs], np.int32),
            )
            for split, pairs in task.items()
        }
        for task in parts
    ]
    known = replace(known, lines=known.lines + lines, remarks=known.remarks + remarks)
    plan = [list(classes) for classes in known.classes]
    told = {**told, "tasks": plan, "image_size": list(rules.size)}
    return Benchmark.from_arrays(given, name, provenance=told, known=known)


def _files(parts: Sequence[Mapping[str, Sequence[tuple[F, int]]]]) -> list[F]:
    """Each file of all tasks, once."""
    return list(dict.fromkeys(path for task in parts for s in SPLITS for path, _ in task[s]))


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
