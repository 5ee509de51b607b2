"""Pytrees of arrays on disk, by Orbax: written whole, checked before a byte of them is believed.

    FOLDER/<step>/       what Orbax wrote
    FOLDER/<step>.json   the manifest: record, leaves and digests. Written last; it is what commits

Orbax casts a dtype that differs without a word, and knows nothing of flipped bits; so the manifest
names every leaf's shape and dtype, the SHA-256 of every file and of itself, and a hash of the
arrays that a restored tree must have. Nothing here reads pickle.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from uncle_jax import files
from uncle_jax.errors import UncleError
from uncle_jax.store import orbax

FORMAT = 1
ITEM = "default"  # the folder that CheckpointManager gives a step's one item


class Damaged(UncleError):
    """A checkpoint whose files are not those that were written."""


def save(
    folder: Path,
    step: int,
    tree: Any,
    identity: Mapping[str, Any],
    record: Mapping[str, Any],
    flush: bool = True,
) -> None:
    """Write `tree` as FOLDER/<step>, read it back, then write its manifest, which commits it.

    `identity`: what a state must share with a configuration to be used under it (`restore` compares
    it). `record`: any JSON. Without `flush` a power cut may damage it, which `restore` notices.
    Raises UncleError where the disk does not take it, or gives back something else; FOLDER/<step>
    is then not there.
    """
    stored, leaves = _flatten(tree)
    content = {
        "format": FORMAT,
        "step": step,
        "identity": identity,
        "record": record,
        "leaves": leaves,
        "state": tree_hash(tree),
    }
    place = folder / str(step)
    try:
        folder.mkdir(exist_ok=True)
        files.remove(_manifest(folder, step), place)
        files.require_room(folder, sum(array.nbytes for array in stored.values()))
        orbax.write(folder, step, stored)
        _read_back(place, stored)
        if flush:
            files.sync_tree(place)
        content["files"] = files.digests(place)
        files.write(_manifest(folder, step), seal(content))
    except (OSError, ValueError, RuntimeError) as error:  # a full disk is tensorstore's ValueError
        discard(folder, step)
        raise UncleError(
            f"cannot save a checkpoint in {folder} ({files.reason(error)}); nothing was lost"
        ) from error


def restore(folder: Path, step: int, like: Any, identity: Mapping[str, Any]) -> Any:
    """The tree saved as FOLDER/<step>, of arrays that no device holds on to.

    `like`: a tree of arrays or ShapeDtypeStructs of the same structure. Raises Damaged if a file is
    not what was written, and UncleError naming what differs if `identity`, a shape or a dtype does.
    """
    content = check(folder, step)
    compare(content["identity"], identity, f"checkpoint {step} in {folder}")
    pairs, structure = jax.tree_util.tree_flatten_with_path(like)
    _compare_leaves(content["leaves"], pairs)
    arrays = read(folder / str(step) / ITEM, content["leaves"])
    tree = jax.tree.unflatten(structure, arrays.values())
    if tree_hash(tree) != content["state"]:
        raise Damaged(f"{folder / str(step)} restores to another state than was saved")
    return tree


def read(place: Path, leaves: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The arrays that Orbax wrote to folder `place`, by path, as a manifest's `leaves` name them.

    Nothing is checked, so that a checkpoint without its manifest can be looked at too. Raises
    Damaged if it cannot be read as `leaves`.
    """
    wanted = {leaf["stored"]: (tuple(leaf["shape"]), leaf["dtype"]) for leaf in leaves}
    try:
        # To the host first: an array restored to a device is committed to it, and no mesh takes it.
        stored = {name: jnp.asarray(array) for name, array in orbax.read(place, wanted).items()}
    except UncleError:
        raise
    except Exception as error:  # Orbax raises the bare class for an array it cannot read
        raise Damaged(f"cannot restore {place} ({files.reason(error)})") from error
    # Leaves that are one array, as phi and phi* after a request, are one again.
    return {
        leaf["path"]: (
            jax.random.wrap_key_data(stored[leaf["stored"]], impl=leaf["key"])
            if leaf["key"]
            else stored[leaf["stored"]]
        )
        for leaf in leaves
    }


def check(folder: Path, step: int) -> dict[str, Any]:
    """The manifest of FOLDER/<step>, once every file of it is found to be as it was written."""
    content = manifest(folder, step)
    wrong = files.first_difference(folder / str(step), content["files"])
    if wrong:
        raise Damaged(f"checkpoint {folder / str(step)} is damaged: {wrong}")
    return content


def manifest(folder: Path, step: int) -> dict[str, Any]:
    """The manifest of FOLDER/<step>. Raises Damaged, or UncleError for a newer version's."""
    content = unseal(_manifest(folder, step))
    if content["format"] != FORMAT:
        raise newer(_manifest(folder, step), content["format"])
    return content


def newer(path: Path, version: object) -> UncleError:
    """An error (returned, not raised) for a file of a format that this version does not know."""
    return UncleError(
        f"{path} was written in format {version}, this version reads {FORMAT}; update uncle_jax"
    )


def seal(content: Mapping[str, Any]) -> bytes:
    """JSON text of `content` that carries its own SHA-256."""
    text = json.dumps(content, sort_keys=True)
    sha = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps({"sha256": sha, **json.loads(text)}, indent=1).encode() + b"\n"


def unseal(path: Path) -> dict[str, Any]:
    """What `seal` wrote to `path`. Raises Damaged if it is missing or not byte for byte that."""
    try:
        raw = path.read_bytes()
        content = json.loads(raw)
        claimed = content.pop("sha256")
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise Damaged(f"{path} is missing or damaged ({files.reason(error)})") from None
    sealed = seal(content)
    if raw != sealed or json.loads(sealed)["sha256"] != claimed:
        raise Damaged(f"{path} was changed after it was written")
    return content


def committed(folder: Path) -> list[int]:
    """Steps in FOLDER that have a manifest, in order."""
    names = (path.stem for path in folder.glob("*.json"))
    return sorted(int(name) for name in names if name.isascii() and name.isdigit())


def copy(source: Path, target: Path, step: int) -> None:
    """SOURCE/<step> once more as TARGET/<step>, committed last. Raises UncleError as `save` does.

    Copied as the bytes they are, unflushed: after a power cut `check` tells whether they are right.
    """
    try:
        target.mkdir(exist_ok=True)
        files.remove(_manifest(target, step), target / str(step))
        shutil.copytree(source / str(step), target / str(step), symlinks=True)
        files.write(_manifest(target, step), _manifest(source, step).read_bytes())
    except OSError as error:
        discard(target, step)
        raise UncleError(
            f"cannot write to {target} ({files.reason(error)}); nothing was lost"
        ) from error


def discard(folder: Path, step: int) -> None:
    """Remove FOLDER/<step>; the manifest first, so that half of it is never taken for all."""
    halves = folder.glob(f"{step}.orbax-checkpoint-tmp*")
    files.remove(_manifest(folder, step), folder / str(step), *halves)


def tree_hash(tree: Any) -> str:
    """SHA-256 of a tree's paths, shapes, dtypes and values: equal only for the same bits."""
    total, seen = hashlib.sha256(), {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        if id(leaf) not in seen:  # phi* is phi after a request
            array = np.ascontiguousarray(jax.device_get(_data(leaf)))
            text = f"{array.dtype}{array.shape}{_impl(leaf)}".encode()
            seen[id(leaf)] = hashlib.sha256(text + array.tobytes()).digest()
        total.update(jax.tree_util.keystr(path).encode() + seen[id(leaf)])
    return total.hexdigest()


def compare(theirs: Mapping[str, Any], ours: Mapping[str, Any], what: str) -> None:
    """Raise UncleError naming the first setting in which `theirs` (of `what`) is not `ours`."""
    theirs = json.loads(json.dumps(theirs))
    ours = json.loads(json.dumps(ours))
    for key in dict.fromkeys([*theirs, *ours]):
        a, b = theirs.get(key), ours.get(key)
        if a == b:
            continue
        if isinstance(a, dict) and isinstance(b, dict):
            compare(a, b, what)
        raise UncleError(f"{what} is of another kind: {key} {a}, here {b}")


def _read_back(place: Path, stored: Mapping[str, Any]) -> None:
    """Raise OSError unless what was written to `place` reads back: earlier states go after this."""
    try:
        odd = orbax.differing(place / ITEM, stored)
    except UncleError:
        raise
    except Exception as error:  # Orbax raises the bare class for an array it cannot read
        raise OSError(f"it cannot be read back: {files.reason(error)}") from error
    if odd is not None:
        raise OSError(f"it does not read back as it was written: array {odd}")


def _manifest(folder: Path, step: int) -> Path:
    return folder / f"{step}.json"


def _flatten(tree: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """(arrays by stored name, every leaf's path, shape, dtype and stored name).

    Leaves that are one array are stored once; a PRNG key as its data, its kind in the leaf.
    """
    stored: dict[str, Any] = {}
    names: dict[int, str] = {}
    leaves = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        data = jnp.asarray(_data(leaf))
        name = names.setdefault(id(leaf), f"{len(names):04d}")
        stored[name] = data
        leaves.append(
            {
                "path": jax.tree_util.keystr(path),
                "shape": list(data.shape),
                "dtype": str(data.dtype),
                "key": _impl(leaf),
                "stored": name,
            }
        )
    return stored, leaves


def _compare_leaves(leaves: list[dict[str, Any]], pairs: list[tuple[Any, Any]]) -> None:
    theirs = {leaf["path"]: leaf for leaf in leaves}
    ours = {jax.tree_util.keystr(path): leaf for path, leaf in pairs}
    if list(theirs) != list(ours):
        odd = sorted(set(theirs) ^ set(ours)) or ["another order"]
        raise UncleError(f"checkpoint and configuration differ in structure: {odd[0]}")
    for path, leaf in ours.items():
        one = theirs[path]
        have = (_dtype_of(one), one["shape"])
        want = (str(leaf.dtype), list(jax.eval_shape(_data, leaf).shape))
        if have != want and have[1] == want[1] and {have[0], want[0]} == {"float32", "float64"}:
            raise UncleError(
                f"checkpoint holds {have[0]}, this process computes in {want[0]}: "
                f"{'unset' if want[0] == 'float64' else 'set'} JAX_ENABLE_X64 (or jax_enable_x64)"
            )
        if have != want:
            raise UncleError(
                f"checkpoint holds {path} as {have[0]} {have[1]}, "
                f"this configuration wants {want[0]} {want[1]}"
            )


def _dtype_of(leaf: Mapping[str, Any]) -> str:
    """The dtype that a stored leaf is restored to; a PRNG key's names its kind."""
    if not leaf["key"]:
        return leaf["dtype"]
    data = jax.ShapeDtypeStruct(leaf["shape"], leaf["dtype"])
    wrap = partial(jax.random.wrap_key_data, impl=leaf["key"])
    return str(jax.eval_shape(wrap, data).dtype)


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _data(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _impl(leaf: Any) -> str | None:
    """The kind of a PRNG key ("threefry2x32"); None for any other leaf."""
    return str(jax.random.key_impl(leaf)) if _is_key(leaf) else None
