"""Arrays on disk, by Orbax, under whatever name a folder has.

Orbax finds what it wrote by a glob over the whole path, and etils and tensorstore read URLs, UTF-8
and slashes into one: under a folder named `[v2]` the arrays are written, never merged, and cannot
be read again. So a path that is not plain is lent a plain name, a link in a temporary folder of
this process's own; no array leaves the folder it belongs in.
"""

import logging
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from uncle_jax.errors import UncleError

PLAIN = re.compile(r"(?!/(gs|s3|az|hf)/)[A-Za-z0-9/ ._,=+@-]+")
"""Paths that Orbax takes for what they are; /gs/ and its like are buckets to it."""


def write(folder: Path, step: int, stored: Mapping[str, Any]) -> None:
    """Write arrays, by name, as FOLDER/<step>. Raises OSError, or ValueError for a full disk."""
    # Synchronous: a request is reported done only once it is on the disk.
    options = ocp.CheckpointManagerOptions(
        create=False, enable_async_checkpointing=False, multiprocessing_options=alone()
    )
    if jax.process_count() > 1:  # or Orbax takes an array of one process for part of a larger one
        stored = {name: np.asarray(array) for name, array in stored.items()}
    with quiet(), plain(folder) as place, ocp.CheckpointManager(place, options=options) as manager:
        manager.save(step, args=ocp.args.StandardSave(dict(stored)), force=True)


def read(folder: Path, wanted: Mapping[str, tuple[Sequence[int], Any]]) -> dict[str, np.ndarray]:
    """The arrays of `wanted` (name -> shape and dtype) that `write` left in a folder, on the host.

    Raises whatever Orbax does.
    """
    # broadcast: what says "to the host" to Orbax is an array, and this one takes no memory
    like = {
        name: np.broadcast_to(np.zeros((), dtype), shape) for name, (shape, dtype) in wanted.items()
    }
    with (
        quiet(),
        plain(folder) as place,
        ocp.StandardCheckpointer(multiprocessing_options=alone()) as reader,
    ):
        return reader.restore(place, like)


def alone() -> ocp.options.MultiprocessingOptions:
    """A store is one process's affair: Orbax waits for no other of a run on several hosts."""
    this = jax.process_index()
    return ocp.options.MultiprocessingOptions(primary_host=this, active_processes={this})


def differing(folder: Path, stored: Mapping[str, Any]) -> str | None:
    """The first of the arrays `stored` that does not read back from a folder bit for bit; or None.

    Raises whatever Orbax does.
    """
    found = read(folder, {name: (one.shape, one.dtype) for name, one in stored.items()})
    for name, array in stored.items():
        one, other = np.asarray(array), np.asarray(found[name])
        alike = one.dtype == other.dtype and one.shape == other.shape
        if not alike or not np.array_equal(_bytes(one), _bytes(other)):
            return name
    return None


@contextmanager
def plain(folder: Path) -> Iterator[Path]:
    """An absolute path to `folder` that a glob reads as itself. Raises UncleError if there is none.

    While it is lent, the link is all that lies outside `folder`; a killed process may leave it.
    """
    real = folder.absolute()
    if PLAIN.fullmatch(os.fspath(real)):
        yield real
        return
    with _temporary(real) as where:
        link = Path(where) / "folder"
        link.symlink_to(real, target_is_directory=True)
        yield link


def _temporary(real: Path) -> "tempfile.TemporaryDirectory[str]":
    """A temporary folder whose own path is plain."""
    for base in dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm")):
        if PLAIN.fullmatch(base):
            try:
                return tempfile.TemporaryDirectory(dir=base, prefix="uncle_jax_")
            except OSError:
                continue
    raise UncleError(
        f"{real} has characters that Orbax cannot read (allowed: letters, digits and ' ._,=+@-'), "
        "and no temporary folder can be written to lend it a name; rename it, or set TMPDIR"
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Keep what Orbax logs off the terminal: what is written is read back, and an error told."""

    def elsewhere(record: logging.LogRecord) -> bool:
        return f"{os.sep}orbax{os.sep}" not in record.pathname

    logger = logging.getLogger("absl")
    logger.addFilter(elsewhere)
    try:
        yield
    finally:
        logger.removeFilter(elsewhere)


def _bytes(array: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
