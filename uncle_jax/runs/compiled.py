"""Where commands keep compiled programs, so that the next one need not compile them again.

JAX's persistent compilation cache. Loading an entry runs what it holds, so the folder must be the
user's own. Where there is none to be had, a command goes on without.
"""

import hashlib
import os
import stat
import sys
import tempfile
import warnings
from pathlib import Path

from uncle_jax.errors import UncleError
from uncle_jax.runs.environment import processor

THEIRS = "JAX_COMPILATION_CACHE_DIR"
MOST = 2 << 30  # bytes in the default folder; the least recently used go first


def keep_compiled(asked: str | None, apart_from: Path | None = None) -> None:
    """Have JAX keep what it compiles from here on, where `asked` says or in the user's own cache.

    Raises UncleError where a folder that was asked for cannot be used, or is inside `apart_from`.
    Any other folder that cannot be used is one line on stderr, and nothing is kept.
    """
    import jax

    settings = {}
    if asked != "none":
        named = asked or os.environ.get(THEIRS)
        folder = Path(named).expanduser() if named else default_folder()
        if apart_from is not None and folder.resolve().is_relative_to(apart_from.resolve()):
            raise UncleError(f"--compile-cache {folder} is inside the store; choose another folder")
        why = unusable(folder, ours=named is None)
        if why and asked:
            raise UncleError(f"--compile-cache {folder} {why}")
        if why:
            print(f"note: compiled programs are not kept: {folder} {why}", file=sys.stderr)
        else:
            settings["jax_compilation_cache_dir"] = str(folder.resolve())
            if named is None:
                settings["jax_compilation_cache_max_size"] = MOST
            if "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS" not in os.environ:
                settings["jax_persistent_cache_min_compile_time_secs"] = 0
                settings["jax_persistent_cache_min_entry_size_bytes"] = -1
    for name, value in (settings or {"jax_compilation_cache_dir": None}).items():
        jax.config.update(name, value)
    # An entry that is damaged, or half-written by another process, is compiled again.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache entry")


def default_folder() -> Path:
    """In the user's cache folder, apart for each kind of processor: homes are shared."""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(cache) if Path(cache).is_absolute() else Path("~/.cache").expanduser()
    kind = hashlib.sha256(processor().encode()).hexdigest()[:8]
    return home / "uncle_jax" / f"compiled-{kind}"


def unusable(folder: Path, ours: bool) -> str | None:
    """Why no compiled programs can be kept in `folder`; None if they can. It is made if need be.

    `ours`: nobody chose it, so that it has to be the user's own.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if ours and hasattr(os, "getuid"):
            about = folder.stat()
            if about.st_uid != os.getuid():
                return "is another user's"
            if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return "can be written by others"
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"cannot be written ({error.strerror})"
