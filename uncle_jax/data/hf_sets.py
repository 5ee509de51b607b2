"""A set of Hugging Face's `datasets` library as a benchmark of one's own: by name, or on disk."""

import hashlib
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from uncle_jax.data.benchmark import Benchmark
from uncle_jax.data.custom import pictured
from uncle_jax.data.pictures import Encoded
from uncle_jax.data.plans import Tasks, task_plan, unused
from uncle_jax.data.publishers.archives import first_line
from uncle_jax.data.trees import natural
from uncle_jax.data.understood import Known
from uncle_jax.errors import UncleError

EXTRA = "hf: needs the datasets library: pip install 'uncle-jax[hf]'"


def hf_benchmark(
    where: str,
    classes_per_task: int = 10,
    tasks: Tasks | None = None,
    image_size: int | None = None,
    download: bool = True,
) -> Benchmark:
    """Tasks from a set with a column of images and one of labels, splits train and test.

    `where`: a folder (what `save_to_disk` wrote, or files that `load_dataset` reads), or a name,
    NAME@CONFIG where it has several, from the library's cache or, with `download`, from the hub.
    Or validation where there is no test. Raises UncleError.
    """
    splits = _splits(where, download)
    names, left = _chosen(where, splits)
    columns = _columns(where, splits[names["train"]])
    sets = {split: splits[name] for split, name in names.items()}
    known, whole = _classes(sets["train"], columns[1]), hashlib.sha256()
    plan = task_plan(known, classes_per_task, tasks)
    found: dict[str, dict[str, list[Any]]] = {s: {c: [] for c in known} for s in sets}
    lost = 0
    for split, rows in sets.items():
        for image, label in _rows(f"{where} {split}", rows, columns):
            whole.update(f"{split} {label}".encode() + image.read_bytes())
            if label not in found[split]:
                lost += 1
                continue
            found[split][label].append(image)
    parts = [
        {s: [(image, y) for y, c in enumerate(classes) for image in found[s][c]] for s in sets}
        for classes in plan
    ]
    remarks = (f"left out: {lost} images of classes that train has not",) if lost else ()
    more = Known((), plan, (), unused(known, plan) + left + remarks)
    return pictured("hf", parts, more, image_size, {"sha256": whole.hexdigest(), "hf": where})


def _library() -> Any:
    try:
        return importlib.import_module("datasets")
    except ImportError:
        raise UncleError(EXTRA) from None


def _splits(where: str, download: bool) -> Any:
    """The set's splits by name. Raises UncleError."""
    datasets = _library()
    folder = Path(where).expanduser()
    try:
        if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
            found: Any = datasets.load_from_disk(str(folder))
        else:
            path, _, config = (str(folder), "", "") if folder.is_dir() else where.partition("@")
            local = datasets.DownloadConfig(local_files_only=not download)
            found = datasets.load_dataset(path, config or None, download_config=local)
    except Exception as error:  # of many kinds, several of them its own
        raise UncleError(f"datasets cannot read {where!r} ({first_line(error)})") from None
    if not isinstance(found, dict):
        raise UncleError(f"{where} is a single split; train and test are needed (a DatasetDict)")
    return found


def _chosen(where: str, splits: Any) -> tuple[dict[str, str], tuple[str, ...]]:
    """({"train": its name, "test": its name}, a remark on the others)."""
    test = next((name for name in ("test", "validation", "val") if name in splits), None)
    if "train" not in splits or test is None:
        raise UncleError(
            f"{where} has splits {', '.join(splits)} (train and test, or validation, are needed)"
        )
    other = [name for name in splits if name not in ("train", test)]
    return {"train": "train", "test": test}, (
        (f"left out: splits {', '.join(other)}",) if other else ()
    )


def _columns(where: str, rows: Any) -> tuple[str, str]:
    """(the column of images, the column of labels): the first of their kinds."""
    datasets = _library()
    images = [name for name, kind in rows.features.items() if isinstance(kind, datasets.Image)]
    classes = [n for n, kind in rows.features.items() if isinstance(kind, datasets.ClassLabel)]
    labels = classes or [name for name in ("label", "class") if name in rows.features]
    if not images or not labels:
        raise UncleError(
            f"{where} has columns {', '.join(rows.features)}: one of images and one of classes, or "
            "called label, are needed"
        )
    return images[0], labels[0]


def _classes(rows: Any, column: str) -> list[str]:
    names = _names(rows, column)
    return list(names) if names else sorted(map(str, rows.unique(column)), key=natural)


def _names(rows: Any, column: str) -> Any:
    """The names of a ClassLabel, a list; None where labels have none."""
    return getattr(rows.features[column], "names", None)


def _rows(
    what: str, rows: Any, columns: Sequence[str]
) -> Iterator[tuple[Encoded | Path, str | None]]:
    """(an image as its file has it, its class's name) of each row."""
    datasets = _library()
    image, label = columns
    names = _names(rows, label)
    rows = rows.select_columns(list(columns)).cast_column(image, datasets.Image(decode=False))
    for index, row in enumerate(rows):
        held, value = row[image], row[label]
        if held is None or value is None:
            raise UncleError(f"{what}: row {index} has no {image if held is None else label}")
        name = str(value) if names is None else names[value] if value >= 0 else None
        if held["bytes"] is None:
            yield Path(held["path"]), name
        else:
            yield Encoded(f"{what} row {index}", held["bytes"]), name
