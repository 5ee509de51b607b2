"""A prepared TFDS set as a benchmark of one's own."""

from pathlib import Path
from typing import Any

import numpy as np

from uncle_jax.data.benchmark import Benchmark
from uncle_jax.data.content import content
from uncle_jax.data.plans import Tasks, task_plan, unused
from uncle_jax.data.publishers.archives import first_line
from uncle_jax.data.split import select
from uncle_jax.data.understood import Known
from uncle_jax.errors import UncleError
from uncle_jax.tasks import Data


def tfds_benchmark(
    name: str, data_dir: Path | None, classes_per_task: int = 10, tasks: Tasks | None = None
) -> Benchmark:
    """Tasks from a TFDS set with `image` and `label` that is prepared as array_record.

    Splits `train` and `test` (or `validation`). It is looked for in `data_dir`, where a set needs
    no code of its own, then in TFDS's own folder. Raises UncleError.
    """
    home = Path("~", "tensorflow_datasets", name, "1.0.0") if data_dir is None else data_dir
    try:
        builder = _builder(name, data_dir)
        home = builder.data_path
        test = "test" if "test" in builder.info.splits else "validation"
        records = {"train": builder.as_data_source(split="train")}
        records["test"] = builder.as_data_source(split=test)
        names: list[str] = builder.info.features["label"].names
        builder.info.features["image"]
    except UncleError:
        raise
    except Exception as error:  # TFDS raises many kinds, several of them its own
        why = _why(name, home, data_dir, error)
        raise UncleError(
            f"TFDS cannot read {name!r} as prepared images with labels ({why})"
        ) from None
    plan = task_plan(names, classes_per_task, tasks)
    place = builder.data_path
    splits = {s: _records(source, f"{s} in {place}") for s, source in records.items()}
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
    known = Known((), plan, (), unused(names, plan) + unlabelled)
    told = {"sha256": sha, "tfds": builder.info.full_name}
    told |= {"tasks": [list(classes) for classes in plan]}
    return Benchmark.from_arrays(given, f"tfds:{name}", provenance=told, known=known)


def _why(name: str, home: Any, data_dir: Path | None, error: Exception) -> str:
    """What `error` means, and what to do about it, in one line."""
    if type(error).__name__ == "DatasetNotFoundError":
        return "no such set; tensorflow.org/datasets/catalog lists what there is"
    there = "" if data_dir is None else f", data_dir='{data_dir}'"
    prepare = (
        'prepare it: python -c "import tensorflow_datasets as tfds; '
        f"tfds.builder('{name}', file_format='array_record'{there}).download_and_prepare()\""
    )
    if isinstance(error, KeyError):
        return f"it has no feature {first_line(error)}; image and label are needed"
    if not isinstance(error, NotImplementedError):
        return first_line(error)
    if not Path(home).is_dir():
        return f"it is not in {home}; {prepare}"
    return f"in {home} it is in a format that has no random access; delete that, and {prepare}"


def _builder(name: str, data_dir: Path | None) -> Any:
    import tensorflow_datasets as tfds

    if data_dir is not None:
        home = data_dir / name.replace(":", "/")  # NAME, NAME/CONFIG or NAME:VERSION
        found = sorted((info.parent for info in home.glob("**/dataset_info.json")), key=_version)
        kinds = sorted({place.parent.relative_to(data_dir).as_posix() for place in found})
        if len(kinds) > 1:
            raise UncleError(f"{data_dir} has {', '.join(kinds)}: name one, as in tfds:{kinds[0]}")
        if found:
            return tfds.builder_from_directory(str(found[-1]))  # the newest
    return tfds.builder(name)


def _version(place: Path) -> tuple[int, ...]:
    """1.10.0 comes after 1.9.0; what is no version first."""
    parts = place.name.split(".")
    return tuple(map(int, parts)) if all(part.isdecimal() for part in parts) else ()


def _records(source: Any, what: str) -> Data:
    """Raises UncleError that names `what`, the split and where it lies."""
    images, labels = [], []
    for index in range(len(source)):
        try:
            record = source[index]
        except Exception as error:  # the reader's own, of many kinds
            raise UncleError(
                f"record {index} of {len(source)} of {what} cannot be read ({first_line(error)}); "
                "a file of it is damaged or cut short: prepare it anew"
            ) from None
        images.append(record["image"])
        labels.append(record["label"])
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        some = ", ".join(map(str, sorted(shapes)[:3]))
        raise UncleError(f"the set's images differ in size ({some}); use an image folder instead")
    return Data(np.stack(images), np.asarray(labels, np.int32))
