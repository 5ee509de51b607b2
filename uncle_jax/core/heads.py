"""The main network's last dense layer, its head: where it is, and what it is without some classes.

Shapes: D features, Y outputs.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from uncle_jax.errors import UncleError

Path = tuple[Any, ...]


def home(params: Any, width: int, what: str = "classes") -> Path:
    """Where the head is in a Linen parameter tree: the path of its dense layer.

    Raises UncleError unless exactly one dense layer has `width` outputs, which are `what`.
    """
    flat = jax.tree_util.tree_leaves_with_path(params)
    homes = {path[:-1] for path, a in flat if a.ndim == 2 and a.shape[-1] == width}
    if len(homes) != 1:
        raise UncleError(
            f"main_net has {len(homes)} dense layers with {width} outputs ({what}), "
            "expected one: its head"
        )
    return homes.pop()


def columns(
    width: int, first: int, n: int, classes: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """[Y] of `width` outputs, where a task has `n` from `first` on: `classes`' own, its others'."""
    own = np.arange(width) - first
    gone = np.isin(own, np.asarray(classes))
    return gone, ~gone & (own >= 0) & (own < n)


def without_classes(params: Any, gone: Any, others: Any) -> Any:
    """`params` whose head has the mean of the columns `others` in the place of those `gone`.

    `gone` and `others`: [Y] True for outputs. The logit of a class that is gone is then the mean of
    the others', so that whatever it is shown the network never answers it, and nothing that was
    learned of the class is left in its column. Ours; needs no data.
    """
    own = home(params, len(gone))
    share = others / jnp.sum(others)

    def one(path: Path, leaf: Array) -> Array:
        if path[:-1] != own:
            return leaf
        return jnp.where(gone, (leaf @ share)[..., None], leaf)

    return jax.tree_util.tree_map_with_path(one, params)
