"""One's own data as a benchmark: a tree of images, or an .npz a task."""

from pathlib import Path

import numpy as np

from uncle_jax.data import pictures
from uncle_jax.data.benchmark import Benchmark
from uncle_jax.data.content import content
from uncle_jax.data.npz import read_arrays
from uncle_jax.data.plans import Tasks, task_plan, unused
from uncle_jax.data.trees import expanded, left_out, leftovers, listed, scan
from uncle_jax.data.understood import SPLITS, Known
from uncle_jax.errors import UncleError

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
    known = Known(
        (),
        plan,
        tree.lines + lines,
        tree.remarks + remarks + unused(list(tree.files["train"]), plan),
    )
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
