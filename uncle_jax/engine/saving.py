"""A state in a folder of its own, by Orbax: for studies that need no store."""

import json
from pathlib import Path
from typing import Any

from uncle_jax.engine.learner import template
from uncle_jax.errors import UncleError
from uncle_jax.methods.protocol import Method
from uncle_jax.store import checkpoint


def save(path: str | Path, state: Any) -> None:
    """Keep `state` in folder `path`; an earlier one there goes once this one is whole.

    Raises UncleError where the disk does not take it; the earlier one is then still there.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UncleError(f"cannot write to {folder} ({error.strerror})") from None
    earlier = checkpoint.committed(folder)
    checkpoint.save(folder, max(earlier, default=-1) + 1, state, _identity(state), {})
    for step in earlier:
        checkpoint.discard(folder, step)


def restore(path: str | Path, method: Method) -> Any:
    """The state of `method` that `save` kept in folder `path`, tied to no device.

    Raises UncleError if there is none, if it is damaged, or another method's or configuration's.
    """
    folder = Path(path)
    steps = checkpoint.committed(folder)
    if not steps:
        raise UncleError(f"{folder} holds no saved state (uncle_jax.save makes one)")
    like = template(method)
    theirs = checkpoint.unseal(folder / f"{steps[-1]}.json")["identity"]
    # A state of one's own method, or of an earlier version, says nothing of what made it.
    return checkpoint.restore(folder, steps[-1], like, _identity(like) if theirs else {})


def _identity(state: Any) -> dict[str, Any]:
    """What a state says of the method that made it; {} for nothing."""
    made_by = getattr(state, "made_by", "")
    return json.loads(made_by) if made_by else {}
