"""CSV lists of image files: which file, which class, which split, and if it is said which task."""

import csv
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from uncle_jax.data.trees import natural
from uncle_jax.errors import UncleError, allowed

COLUMNS = {
    "file": ("file", "path", "image", "filename"),
    "label": ("label", "class"),
    "split": ("split", "subset"),
    "task": ("task",),
}
"""What a column is, and the names that it may have, in any case."""
SPLITS = {"train": "train", "test": "test", "val": "val", "validation": "val", "valid": "val"}
DELIMITERS = ",;\t"


@dataclass
class Listed:
    """The files of a list, by class and split, in its order."""

    files: dict[str, dict[str, list[Path]]] = field(default_factory=dict)  # {class: {split: files}}

    def classes(self) -> list[str]:
        """In the natural order of their names (c2 before c10)."""
        return sorted(self.files, key=natural)


def read_lists(where: Path) -> tuple[dict[str, Listed], tuple[Path, ...], tuple[str, ...]]:
    """({task: what is listed of it}, the list's own files, remarks on what is left out).

    `where`: a CSV with a column that says the split, or a folder with train.csv and test.csv (or
    val.csv). Paths are relative to their list. One task, "", where no column says which. `val` is
    the test split where there is no `test`. Raises UncleError that names file and line.
    """
    lists = _lists(where)
    found: dict[str, Listed] = {}
    seen: dict[str, int] = {}
    for path, split_of_file in lists.items():
        for line, row in _rows(path, split_of_file):
            split = SPLITS[row["split"]]
            image = path.parent / row["file"]
            if not image.is_file():
                raise UncleError(f"{path}, line {line}: there is no file {image}")
            label = unicodedata.normalize("NFC", row["label"])
            one = found.setdefault(row.get("task", ""), Listed())
            one.files.setdefault(label, {}).setdefault(split, []).append(image)
            seen[split] = seen.get(split, 0) + 1
    if "" in found and len(found) > 1:
        raise UncleError(f"{where}: some lines have a task and others have none")
    test = "val" if "val" in seen and "test" not in seen else "test"
    missing = [split for split in ("train", test) if split not in seen]
    if missing:
        raise UncleError(f"{where} lists no {' and no '.join(missing)} image (train and test)")
    left = (f"left out: {seen['val']} images of split val",) if len(seen) == 3 else ()
    for one in found.values():
        one.files = {
            label: {"train": splits.get("train", []), "test": splits.get(test, [])}
            for label, splits in one.files.items()
        }
    return dict(sorted(found.items(), key=lambda item: natural(item[0]))), tuple(lists), left


def _lists(where: Path) -> dict[Path, str | None]:
    """{a list: the split of all of its files, or None where a column says it}."""
    if where.is_file():
        return {where: None}
    if not where.is_dir():
        raise UncleError(f"there is no {where.absolute()} (expected a CSV, or a folder of them)")
    lists = {where / f"{name}.csv": name for name in ("train", "test", "val")}
    there: dict[Path, str | None] = {path: name for path, name in lists.items() if path.is_file()}
    if len(there) < 2 or where / "train.csv" not in there:
        raise UncleError(f"{where.absolute()} has no train.csv and test.csv (or val.csv)")
    return there


def _rows(path: Path, split: str | None) -> Iterator[tuple[int, Mapping[str, str]]]:
    """(line, {column: value}) of each row. Raises UncleError."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            first = file.readline()
            file.seek(0)
            reader = csv.reader(file, delimiter=max(DELIMITERS, key=first.count))
            columns = _columns(path, next(reader, []), split)
            for row in reader:
                if not any(map(str.strip, row)):
                    continue
                if len(row) <= max(columns.values()):
                    raise UncleError(f"{path}, line {reader.line_num}: {len(row)} columns only")
                values = {name: row[index].strip() for name, index in columns.items()}
                told = values | ({} if split is None else {"split": split})
                _check(path, reader.line_num, told)
                yield reader.line_num, told
    except (OSError, UnicodeError, csv.Error) as error:
        raise UncleError(f"{path} cannot be read as CSV ({error})") from None


def _columns(path: Path, header: list[str], split: str | None) -> dict[str, int]:
    """{what a column is: its index}."""
    names = [name.strip().casefold() for name in header]
    columns = {
        what: next(names.index(name) for name in known if name in names)
        for what, known in COLUMNS.items()
        if any(name in names for name in known)
    }
    needed = ["file", "label", *(["split"] if split is None else [])]
    if missing := [what for what in needed if what not in columns]:
        told = "; ".join(f"{what}: {' or '.join(COLUMNS[what])}" for what in missing)
        there = ", ".join(header) or "nothing"
        raise UncleError(f"{path} needs a first line with the columns {told}; it has {there}")
    return columns


def _check(path: Path, line: int, row: dict[str, str]) -> None:
    for what in ("file", "label"):
        if not row[what]:
            raise UncleError(f"{path}, line {line}: no {what}")
    row["split"] = row["split"].casefold()
    if row["split"] not in SPLITS:
        raise allowed(f"split ({path}, line {line})", row["split"], SPLITS)
