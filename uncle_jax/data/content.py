"""The content of own data as a checksum, so that results belong to the data they came from.

What was read once is not read again while names, sizes and times stay: the checksums of data sets
are kept in `$XDG_CACHE_HOME/uncle_jax/hashes.json` (`~/.cache`), where that can be written.
"""

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable
from pathlib import Path

from uncle_jax.errors import UncleError
from uncle_jax.files import digest, write_whole

SETTLED = 2.0  # seconds: a file changed more recently may change again at the same time stamp
KEPT = 500  # data sets remembered


def content(root: Path, paths: Iterable[Path]) -> str:
    """SHA-256 over the names (below `root`) and bytes of `paths`. Raises UncleError.

    It does not depend on where `root` is, nor on the order of `paths`.
    """
    named = sorted((path.relative_to(root).as_posix(), path) for path in set(paths))
    stamp, newest = _stamp(named)
    key = (
        f"{root.absolute()} {hashlib.sha256(repr([n for n, _ in named]).encode()).hexdigest()[:12]}"
    )
    known = _read_cache()
    if known.get(key, ("", ""))[0] == stamp:
        return known[key][1]
    whole = hashlib.sha256()
    for name, path in named:
        try:
            whole.update(json.dumps([name, digest(path)]).encode())
        except OSError as error:
            raise UncleError(f"cannot read {path} ({error.strerror or error})") from None
    if time.time() - newest > SETTLED:
        _write_cache(
            {**{k: v for k, v in known.items() if k != key}, key: (stamp, whole.hexdigest())}
        )
    return whole.hexdigest()


def cache_file() -> Path:
    """Where checksums are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.path.expanduser(home)) / "uncle_jax" / "hashes.json"


def _stamp(named: list[tuple[str, Path]]) -> tuple[str, float]:
    """(what would change if a file did, the latest change in seconds since 1970)."""
    stats, newest = [], 0.0
    for name, path in named:
        try:
            stat = path.stat()
        except OSError as error:
            raise UncleError(f"cannot read {path} ({error.strerror or error})") from None
        # the time of the last change too, which nobody sets back
        stats.append((name, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino))
        newest = max(newest, stat.st_mtime, stat.st_ctime)
    return hashlib.sha256(json.dumps(stats).encode()).hexdigest(), newest


def _read_cache() -> dict[str, tuple[str, str]]:
    try:
        held = json.loads(cache_file().read_text(encoding="utf-8"))
        return {str(key): (str(stamp), str(sha)) for key, (stamp, sha) in held.items()}
    except (OSError, ValueError, TypeError, AttributeError):  # none, or a damaged one
        return {}


def _write_cache(known: dict[str, tuple[str, str]]) -> None:
    path = cache_file()
    with contextlib.suppress(OSError, UncleError):  # a cache that cannot be kept costs time only
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(dict(list(known.items())[-KEPT:])))
