"""Folders of own data: what counts, in which order, what is left out, and what was found instead."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from uncle_jax.data.pictures import suffixes
from uncle_jax.errors import UncleError

LEFTOVERS = (
    *("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "@eadir"),
    *("icon\r", "system volume information", "lost+found"),
)
"""What macOS, Windows and others leave in folders, in small letters, besides hidden names."""

LAYOUT = "ROOT/train/CLASS/*.png and ROOT/test/CLASS/*.png"


@dataclass(frozen=True)
class Tree:
    """The image files of a tree, and what of it is not used."""

    files: Mapping[str, Mapping[str, tuple[Path, ...]]]  # by split, then by class name
    lines: tuple[str, ...]  # leftovers, and where images were found: no loss
    remarks: tuple[str, ...]  # files and folders that are left out


def natural(name: str) -> tuple[tuple[str | int, ...], str]:
    """A key that sorts numbers within names as numbers: t2 before t10."""
    parts = re.split(r"([0-9]+)", unicodedata.normalize("NFC", name))
    return tuple(int(p) if i % 2 else p for i, p in enumerate(parts)), name


def expanded(where: str) -> Path:
    """The path `where`, with ~ as the home folder. Raises UncleError."""
    try:
        return Path(where).expanduser()
    except RuntimeError as error:
        raise UncleError(f"{where}: {error}") from None


def listed(folder: Path) -> tuple[list[Path], list[Path]]:
    """(what is in `folder`, in natural order; leftovers of other programs). Raises UncleError."""
    try:
        paths = sorted(folder.iterdir(), key=lambda path: natural(path.name))
    except OSError as error:
        raise UncleError(f"cannot read {folder.absolute()} ({error.strerror or error})") from None
    hidden = [p for p in paths if p.name.startswith(".") or p.name.lower() in LEFTOVERS]
    return [p for p in paths if p not in hidden], hidden


def scan(root: Path) -> Tree:
    """The tree at `root`: train/CLASS/* and test/CLASS/* (or val). Raises UncleError.

    Class names are compared in Unicode's composed form (NFC), as file systems differ in it.
    """
    test = next((root / name for name in ("test", "val") if (root / name).is_dir()), root / "test")
    folders = {"train": root / "train", "test": test}
    hidden: list[Path] = []
    left: list[Path] = []
    deeper: list[str] = []
    files = {}
    for split, folder in folders.items():
        files[split] = _classes(root, folder, (hidden, left, deeper))
    _same_classes(root, folders, files)
    visible, more = listed(root)
    hidden += more
    left += [path for path in visible if path not in folders.values()]
    lines = tuple(deeper) + leftovers(root, hidden)
    return Tree(files, lines, left_out(root, left, "whose names do not end as an image's"))


def leftovers(root: Path, hidden: Sequence[Path]) -> tuple[str, ...]:
    """A line on hidden files and other programs' leftovers, or none."""
    if not hidden:
        return ()
    return (f"ignored: {len(hidden)} hidden files or leftovers ({some(root, hidden)})",)


def left_out(root: Path, left: Sequence[Path], why: str) -> tuple[str, ...]:
    """A remark on files (which are left out for `why`) and folders that are not used, or none."""
    folders = [path for path in left if path.is_dir()]
    files = [path for path in left if path not in folders]
    told = []
    if files:
        told.append(f"{len(files)} file{'s'[: len(files) > 1]} {why} ({some(root, files)})")
    if folders:
        told.append(f"{len(folders)} folder{'s'[: len(folders) > 1]} ({some(root, folders)})")
    return (f"left out: {' and '.join(told)}",) if told else ()


def some(root: Path, paths: Iterable[Path]) -> str:
    """The first names, relative to `root`; each name once where only the folders differ."""
    names = list(dict.fromkeys(path.name for path in paths))
    if len(names) > 3:
        return ", ".join(names[:3]) + ", ..."
    shown = list(paths)
    return ", ".join(str(path.relative_to(root)) for path in shown) if len(shown) <= 3 else (
        ", ".join(names)
    )


def _classes(
    root: Path, folder: Path, notes: tuple[list[Path], list[Path], list[str]]
) -> dict[str, tuple[Path, ...]]:
    """The image files of each class folder below `folder`; what is not used goes to `notes`."""
    hidden, left, _ = notes
    visible, more = listed(folder) if folder.is_dir() else ([], [])
    classes = [path for path in visible if path.is_dir()]
    hidden += more
    left += [path for path in visible if path not in classes]
    if not classes:
        raise UncleError(f"no class folder in {folder.absolute()} (expected {LAYOUT}){_seen(root)}")
    files: dict[str, tuple[Path, ...]] = {}
    for path in classes:
        name = unicodedata.normalize("NFC", path.name)
        if name in files:
            raise UncleError(f"{folder}: two folders are named {name!r}, spelt in two ways")
        files[name] = _images(path, notes)
    return files


def _images(folder: Path, notes: tuple[list[Path], list[Path], list[str]]) -> tuple[Path, ...]:
    """The image files of a class: in its folder, or else in the only one below."""
    hidden, left, deeper = notes
    endings = suffixes()
    visible, more = listed(folder)
    hidden += more

    def is_image(path: Path) -> bool:
        return path.suffix.lower() in endings and not path.is_dir()

    found = tuple(path for path in visible if is_image(path))
    below = [path for path in visible if path.is_dir()]
    if not found and len(below) == 1:
        visible, more = listed(below[0])
        found = tuple(path for path in visible if is_image(path))
        hidden += more
        if found:
            deeper.append(f"the images of {folder} are those in its folder {below[0].name}/")
    if not found:
        inside = f"; it holds the folders {_names(below)}" if below else ""
        raise UncleError(f"no image in {folder}{inside} (allowed: {', '.join(endings)})")
    left += [path for path in visible if path not in found]
    return found


def _same_classes(
    root: Path, folders: Mapping[str, Path], files: Mapping[str, Mapping[str, object]]
) -> None:
    train, test = files["train"], files["test"]
    odd = sorted(set(train) ^ set(test), key=natural)
    if odd:
        where, other = (folders[s].name for s in ("train", "test"))
        if odd[0] not in train:
            where, other = other, where
        alike = [name for name in odd[1:] if name.casefold() == odd[0].casefold()]
        hint = f"; {other} has {alike[0]!r}" if alike else ""
        raise UncleError(f"{root}: class {odd[0]!r} is in {where} only{hint}")


def _seen(root: Path) -> str:
    """What is in `root` instead of train and test, and what that looks like."""
    if root.is_file():
        return f"; {root} is a file"
    if not root.is_dir():
        return f"; there is no folder {root.absolute()}"
    folders = [path for path in listed(root)[0] if path.is_dir()]
    if not folders:
        return f"; {root} has no folder"
    inner = next((p for p in folders if (p / "train").is_dir()), None)
    if inner is not None:
        return f"; {inner}/ has one: folder:{inner}"
    return f"; found {_names(folders)}: rename or sort them into train/ and test/"


def _names(folders: Sequence[Path]) -> str:
    shown = ", ".join(f"{path.name}/" for path in folders[:5])
    return shown + (", ..." if len(folders) > 5 else "")
