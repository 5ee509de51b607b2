"""Folders of own data: what counts, in which order, and what is left out."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
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
class Listing:
    """What is in a folder, in natural order."""

    kept: tuple[Path, ...] = ()  # what was looked for
    hidden: tuple[Path, ...] = ()  # leftovers of other programs
    left: tuple[Path, ...] = ()  # all else
    lines: tuple[str, ...] = ()  # what must be said of where it was found


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


def expanded(where: Path) -> Path:
    """The path `where`, with ~ as the home folder. Raises UncleError."""
    try:
        return where.expanduser()
    except RuntimeError as error:
        raise UncleError(f"{where}: {error}") from None


def listed(folder: Path, keep: Callable[[Path], bool]) -> Listing:
    """What `folder` holds: what `keep` says yes to, and the rest. Raises UncleError."""
    try:
        paths = sorted(folder.iterdir(), key=lambda path: natural(path.name))
    except OSError as error:
        raise UncleError(f"cannot read {folder.absolute()} ({error.strerror or error})") from None
    hidden = tuple(p for p in paths if p.name.startswith(".") or p.name.lower() in LEFTOVERS)
    kept = tuple(p for p in paths if p not in hidden and keep(p))
    return Listing(kept, hidden, tuple(p for p in paths if p not in hidden and p not in kept))


def scan(root: Path) -> Tree:
    """The tree at `root`: train/CLASS/* and test/CLASS/* (or val). Raises UncleError.

    Class names are compared in Unicode's composed form (NFC), as file systems differ in it.
    """
    test = next((root / name for name in ("test", "val") if (root / name).is_dir()), root / "test")
    folders = {"train": root / "train", "test": test}
    listings, files = [], {}
    for split, folder in folders.items():
        classes, found = _classes(root, folder)
        listings += [classes, *found.values()]
        files[split] = {name: one.kept for name, one in found.items()}
    _same_classes(root, folders, files)
    listings.append(listed(root, lambda path: path in folders.values()))
    hidden = [path for one in listings for path in one.hidden]
    left = [path for one in listings for path in one.left]
    lines = tuple(line for one in listings for line in one.lines)
    why = "whose names do not end as an image's"
    return Tree(files, lines + leftovers(root, hidden), left_out(root, left, why))


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
    return (
        ", ".join(str(path.relative_to(root)) for path in shown)
        if len(shown) <= 3
        else (", ".join(names))
    )


def _classes(root: Path, folder: Path) -> tuple[Listing, dict[str, Listing]]:
    """(the class folders below `folder`, the images of each by the class's name)."""
    classes = listed(folder, Path.is_dir) if folder.is_dir() else Listing()
    if not classes.kept:
        raise UncleError(f"no class folder in {folder.absolute()} (expected {LAYOUT}){_seen(root)}")
    found: dict[str, Listing] = {}
    for path in classes.kept:
        name = unicodedata.normalize("NFC", path.name)
        if name in found:
            raise UncleError(f"{folder}: two folders are named {name!r}, spelt in two ways")
        found[name] = _images(path)
    return classes, found


def _images(folder: Path) -> Listing:
    """The image files of a class: in its folder, or else in the only one below."""
    endings = suffixes()

    def is_image(path: Path) -> bool:
        return path.suffix.lower() in endings and not path.is_dir()

    here = listed(folder, is_image)
    if here.kept:
        return here
    below = [path for path in here.left if path.is_dir()]
    if len(below) == 1:
        there = listed(below[0], is_image)
        if there.kept:
            told = f"the images of {folder} are those in its folder {below[0].name}/"
            left = tuple(path for path in here.left if path not in below)
            return Listing(there.kept, here.hidden + there.hidden, left + there.left, (told,))
    inside = f"; it holds the folders {_names(below)}" if below else ""
    raise UncleError(f"no image in {folder}{inside} (allowed: {', '.join(endings)})")


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
    folders = listed(root, Path.is_dir).kept
    if not folders:
        return f"; {root} has no folder"
    inner = next((p for p in folders if (p / "train").is_dir()), None)
    if inner is not None:
        return f"; {inner}/ has one: folder:{inner}"
    return f"; found {_names(folders)}: rename or sort them into train/ and test/"


def _names(folders: Sequence[Path]) -> str:
    shown = ", ".join(f"{path.name}/" for path in folders[:5])
    return shown + (", ..." if len(folders) > 5 else "")
