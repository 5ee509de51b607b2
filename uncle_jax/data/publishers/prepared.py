"""A source made ready once: records by TFDS, then arrays that every later start maps into memory.

    DATA_DIR/prepared/NAME/records/...                 array_record files, readable by any TFDS
    DATA_DIR/prepared/NAME/{train,test}_{images,labels}.npy
    DATA_DIR/prepared/NAME/manifest.json               counts, checksums, archives, how verified

All of it is made in `NAME.partial`, which is renamed when whole and deleted when anything fails.
TFDS is imported only to prepare; TensorFlow never is.
"""

import errno
import fcntl
import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from uncle_jax.data.publishers import formats as readers
from uncle_jax.data.publishers.archives import (
    Archive,
    Found,
    Progress,
    check,
    download,
    locate,
)
from uncle_jax.data.publishers.catalogue import Source
from uncle_jax.data.publishers.formats import Reader
from uncle_jax.errors import UncleError
from uncle_jax.tasks import Data

logger = logging.getLogger(__name__)

FORMAT = 1  # of the prepared folder; another one is prepared again
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Options:
    """Where data is, and what may be done to get it."""

    data_dir: Path
    accept: tuple[str, ...] = ()  # sources whose archives need not be the publisher's
    download: bool = True
    progress: Progress | None = None


@dataclass(frozen=True)
class Prepared:
    """A source's labelled images, mapped from disk, and what is known of them."""

    source: Source
    splits: dict[str, Data]  # "train" and "test": uint8 [N, H, W, D], int32 [N]
    manifest: dict[str, Any]

    @property
    def remark(self) -> str | None:
        """What a reader of any result must know: None for the publisher's whole data."""
        if self.manifest["verified"] != "no":
            return None
        counts = tuple(len(self.splits[split].labels) for split in SPLITS)
        held = [
            f"{n:,} of {all_:,} {split} images"
            for n, all_, split in zip(counts, self.source.counts, SPLITS, strict=True)
            if n != all_
        ]
        return f"{self.source.name}: not the publisher's archive ({', '.join(held) or 'repacked'})"


def prepare(source: Source, options: Options) -> Prepared:
    """`source`, ready: mapped if it was prepared before, else found or downloaded and prepared.

    Raises UncleError, and leaves nothing half-prepared, if an archive is missing, damaged or not
    the publisher's (unless `options.accept` names the source), or the disk is full.
    """
    home = options.data_dir / "prepared" / source.name
    manifest = _manifest(home)
    if manifest is None:
        variant, found = obtain(source, options)
        with _cannot_write(home), _locked(home):
            manifest = _manifest(home)  # another process may have been faster
            if manifest is None:
                manifest = _build(source, variant[1], found, home)
    else:
        _require_same(source, options, home, manifest)
    prepared = Prepared(source, _open(home), manifest)
    if prepared.remark and source.name not in options.accept:
        raise UncleError(
            f"{prepared.remark}, so it is used only if you {_accepting(source)}; "
            f"delete {home} to prepare another archive"
        )
    return prepared


def obtain(
    source: Source, options: Options
) -> tuple[tuple[tuple[Archive, ...], Reader], dict[str, Found]]:
    """The variant of `source` that is there, or else downloaded, and its checked archives."""
    variant = next(
        (v for v in source.variants if all(_where(source, a, options) for a in v[0])),
        source.variants[0],
    )
    found, own = {}, options.data_dir / source.name
    for archive in variant[0]:
        path = _where(source, archive, options)
        if path is None:
            if not options.download:
                raise UncleError(
                    f"missing {archive.name} in {own.absolute()}{_holds(own, source)} (get it from "
                    f"{archive.url}, or leave out --no-download)"
                )
            path = download(archive, own, options.progress)
        accept = source.name in options.accept
        found[archive.name] = check(archive, path, accept, _accepting(source))
    return variant, found


def _where(source: Source, archive: Archive, options: Options) -> Path | None:
    """Where `archive` is, if it is there: in the set's own folder, or where others put it."""
    root = options.data_dir
    folders = [root / source.name, *(root / name for name in source.also_in)]
    if archive.name not in readers.MNIST_FILES:  # three sets' files have the same names
        folders.append(root)
    return locate(archive, tuple(folders))


def _holds(folder: Path, source: Source) -> str:
    """What lies in `folder` instead, in words: it may be another form of the same."""
    known = {archive.name for variant, _ in source.variants for archive in variant}
    names = sorted({path.name for path in folder.glob("*")} - known) if folder.is_dir() else []
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f", which holds {', '.join(names[:3])}{more}" if names else ""


def _require_same(source: Source, options: Options, home: Path, manifest: dict[str, Any]) -> None:
    """Raise UncleError where an archive now holds other images than `home` was made of.

    One that has the size and time it had then is not read again; one that is gone is not missed.
    """
    archives = {archive.name: archive for variant, _ in source.variants for archive in variant}
    seen = manifest.get("seen", {})  # older ones have none
    for name, checksum in manifest["archives"].items():
        path = _where(source, archives[name], options) if name in archives else None
        if path is None or _look(path) == seen.get(name):
            continue
        found = check(archives[name], path, True, "")
        genuine = "no" not in (found.verified, manifest["verified"])  # the publisher's, both
        if found.checksum != checksum and not genuine:
            raise UncleError(
                f"{home} was prepared from another {name} than {path} is now ({found.checksum}, "
                f"then {checksum}); delete {home} to prepare this one, or move the file away"
            )


def _look(path: Path) -> list[int]:
    about = path.stat()
    return [about.st_size, about.st_mtime_ns]


def _accepting(source: Source) -> str:
    return f"add --accept {source.name} to use it as it is (results will say so)"


def _manifest(home: Path) -> dict[str, Any] | None:
    """The manifest of a whole, prepared folder of this format, else None."""
    try:
        manifest = json.loads((home / "manifest.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise UncleError(f"cannot read {home}/manifest.json ({error}); delete {home}") from None
    if manifest.get("format") != FORMAT:
        return None
    for name, size in manifest["files"].items():
        path = home / name
        if not path.is_file() or path.stat().st_size != size:
            raise UncleError(f"{path} is not whole; delete {home} to prepare it again")
    return manifest


def _open(home: Path) -> dict[str, Data]:
    def load(name: str) -> np.ndarray:
        return np.load(home / f"{name}.npy", mmap_mode="r", allow_pickle=False)

    return {
        split: Data(load(f"{split}_images"), np.asarray(load(f"{split}_labels")))
        for split in SPLITS
    }


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """One preparation of a source at a time; a dead process's lock goes with it."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with (home.parent / f".{home.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _cannot_write(home: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno == errno.ENOSPC
        why = "the disk is full" if full else error.strerror or str(error)
        raise UncleError(f"cannot prepare {home}: {why}; nothing was left there") from None


def _build(source: Source, reader: Reader, found: dict[str, Found], home: Path) -> dict[str, Any]:
    partial = home.with_name(f"{home.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # an earlier preparation was interrupted
    logger.info("preparing %s, once", source.name)
    try:
        partial.mkdir()
        splits = reader({name: archive.path for name, archive in found.items()})
        _room(source, partial)
        from uncle_jax.data.publishers import records as builders

        builder = builders.build(source, splits, partial / "records")
        told = {
            split: _decode(source, builders.encoded(builder, split), split, partial)
            for split in SPLITS
        }
        verified = {archive.verified for archive in found.values()}
        manifest = {
            "format": FORMAT,
            "source": source.name,
            "verified": next(v for v in ("no", "contents", "publisher") if v in verified),
            "archives": {name: archive.checksum for name, archive in found.items()},
            "seen": {name: _look(archive.path) for name, archive in found.items()},
            "image_shape": list(source.image_shape),
            **told,
            "skipped": list(splits.skipped),
            "files": {path.name: path.stat().st_size for path in sorted(partial.glob("*.npy"))},
        }
        text = json.dumps(manifest, indent=1) + "\n"
        (partial / "manifest.json").write_text(text, encoding="utf-8")
        shutil.rmtree(home, ignore_errors=True)  # of an older format
        partial.rename(home)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return manifest


def _room(source: Source, folder: Path) -> None:
    """Raise ENOSPC before half the disk is written: records take at most what the arrays do."""
    needed = 2 * sum(source.counts) * int(np.prod(source.image_shape))
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, "No space left on device")


def _decode(source: Source, records: Any, split: str, folder: Path) -> dict[str, Any]:
    """Write `split`'s arrays from its encoded records; returns what the manifest says of them."""
    shape = (len(records), *source.image_shape)
    labels = np.empty(len(records), np.int32)
    digest = hashlib.sha256()
    # Written, not mapped: on a full disk, a write is an error, a mapped one ends the process.
    with (folder / f"{split}_images.npy").open("wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for index in range(len(records)):
            record = records[index]
            try:
                image = readers.decode(record["image"])
            except (OSError, SyntaxError, ValueError) as error:
                why = f"is damaged ({error})"
                raise UncleError(f"{source.name}: {split} image {index} {why}") from None
            if image.shape != source.image_shape:
                raise UncleError(
                    f"{source.name}: {split} image {index} is {list(image.shape)} "
                    f"(expected {list(source.image_shape)})"
                )
            labels[index] = record["label"]
            raw = image.tobytes()
            digest.update(raw)
            file.write(raw)
    np.save(folder / f"{split}_labels.npy", labels)
    per_class = np.bincount(labels, minlength=source.n_classes).tolist()
    return {"images": len(labels), "per_class": per_class, "sha256": digest.hexdigest()}


def describe(prepared: Prepared) -> dict[str, Any]:
    """What config.json records of a prepared source."""
    kept = ("source", "verified", "archives", "image_shape", "skipped")
    told = {key: prepared.manifest[key] for key in kept}
    for split in SPLITS:
        told[split] = {k: v for k, v in prepared.manifest[split].items() if k != "per_class"}
    return told
