"""Where each of the main network's parameters comes from: the packing of theta into head columns.

The hypernetwork answers each of C chunk embeddings with one row of head outputs. A leaf of n
values owns ceil(n / C) columns of its kind's head; its values run down one column after another,
output channels first, so that only a leaf's last column can have slots to spare. A head holds all
whole columns first, then the one ragged column of each leaf that has one. A column thus belongs to
one leaf for all chunks (which makes Hyperfan exact), and surplus slots sit in a few known columns
(which makes the exact drift term exact). Static Python and NumPy only; hashable, so jit-static.
"""

import functools
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

Kind = str
KINDS: tuple[Kind, ...] = ("weight", "norm", "residual")


@dataclass(frozen=True)
class Leaf:
    """One parameter array of the main network and the columns that generate it."""

    path: tuple[str, ...]
    shape: tuple[int, ...]
    kind: Kind
    base: float  # what it is at init where it does not vary: 1 for a norm's scale
    variance: float  # He's 2 / fan_in for weights; 0 for norm parameters and biases
    start: int  # first of its whole columns
    ragged: int  # its column among the ragged ones; -1 when C divides its size

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Layout:
    """The static plan of theta: every leaf, and each head's whole and ragged widths."""

    leaves: tuple[Leaf, ...]
    chunks: int  # C
    whole: tuple[int, ...]  # whole columns of each head, in the order of KINDS
    ragged: tuple[int, ...]  # ragged columns of each head
    multiple: int = 1  # heads are filled up to, with columns that no leaf has (core/devices.py)

    @property
    def size(self) -> int:
        """P: values of theta."""
        return sum(leaf.size for leaf in self.leaves)

    def width(self, kind: Kind) -> int:
        """Columns of `kind`'s head."""
        index = KINDS.index(kind)
        return math.ceil((self.whole[index] + self.ragged[index]) / self.multiple) * self.multiple

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that this main network has."""
        return tuple(kind for kind in KINDS if self.width(kind))

    @functools.cached_property
    def hash(self) -> str:
        """Twelve hex digits; two states are interchangeable only under the same layout."""
        return hashlib.sha256(repr((self.leaves, self.chunks)).encode()).hexdigest()[:12]

    def whole_width(self, kind: Kind) -> int:
        """Whole columns of `kind`'s head; the ragged ones follow them."""
        return self.whole[KINDS.index(kind)]

    def mask(self, kind: Kind) -> np.ndarray:
        """[C, ragged] 1 where a slot of `kind`'s ragged columns is used, 0 where it is surplus.

        Ragged are all that follow the whole ones, those that fill a head up, too.
        """
        used = np.zeros((self.chunks, self.width(kind) - self.whole_width(kind)), np.float32)
        for leaf in self.leaves:
            if leaf.kind == kind and leaf.ragged >= 0:
                used[: leaf.size % self.chunks, leaf.ragged] = 1
        return used

    def column_values(self, kind: Kind, attribute: Literal["base", "variance"]) -> np.ndarray:
        """[W] each column's `attribute`, that of the leaf it belongs to."""
        values = np.zeros(self.width(kind), np.float32)
        whole = self.whole_width(kind)
        for leaf in self.leaves:
            if leaf.kind == kind:
                value = getattr(leaf, attribute)
                values[leaf.start : leaf.start + leaf.size // self.chunks] = value
                if leaf.ragged >= 0:
                    values[whole + leaf.ragged] = value
        return values


def make_layout(shapes: Mapping[str, Any], chunks: int) -> Layout:
    """The layout of a Linen parameter tree (arrays or ShapeDtypeStructs) in `chunks` chunks.

    A leaf's kind follows from its name: below a module named `proj...` it is "residual"; `scale`,
    and `bias` beside it, are "norm"; all others are "weight". Kernels have their output features
    last, as Linen's do.
    """
    whole = dict.fromkeys(KINDS, 0)
    ragged = dict.fromkeys(KINDS, 0)
    leaves = []
    for keys, array in jax.tree_util.tree_leaves_with_path(shapes):
        path = tuple(str(key.key) for key in keys)
        shape = tuple(array.shape)
        constant = path[-1] in ("scale", "bias") or len(shape) < 2
        kind: Kind = "weight"
        if any(part.startswith("proj") for part in path[:-1]):
            kind = "residual"
        elif constant:
            kind = "norm"
        n_whole, rest = divmod(math.prod(shape), chunks)
        leaves.append(
            Leaf(
                path=path,
                shape=shape,
                kind=kind,
                base=1.0 if path[-1] == "scale" else 0.0,
                variance=0.0 if constant else 2.0 / math.prod(shape[:-1]),
                start=whole[kind],
                ragged=ragged[kind] if rest else -1,
            )
        )
        whole[kind] += n_whole
        ragged[kind] += rest > 0
    return Layout(
        tuple(leaves),
        chunks,
        tuple(whole[kind] for kind in KINDS),
        tuple(ragged[kind] for kind in KINDS),
    )


def pack(layout: Layout, theta: Mapping[str, Any]) -> dict[Kind, jax.Array]:
    """Head outputs {kind: [W, C]} that unpack to `theta`; surplus slots are 0."""
    columns: dict[Kind, list[jax.Array]] = {kind: [] for kind in layout.kinds}
    tails: dict[Kind, list[jax.Array]] = {kind: [] for kind in layout.kinds}
    for leaf in layout.leaves:
        array: Any = theta
        for key in leaf.path:
            array = array[key]
        values = array.reshape(-1)
        n_whole = leaf.size // layout.chunks
        cut = n_whole * layout.chunks
        columns[leaf.kind].append(values[:cut].reshape(layout.chunks, n_whole).T)
        if leaf.ragged >= 0:
            surplus = layout.chunks - (leaf.size - cut)
            tails[leaf.kind].append(jnp.pad(values[cut:], (0, surplus))[None])
    return {kind: jnp.concatenate(columns[kind] + tails[kind]) for kind in layout.kinds}


def unpack(layout: Layout, outputs: Mapping[Kind, jax.Array]) -> dict[str, Any]:
    """theta as a Linen parameter tree from head outputs {kind: [W, C]}."""
    theta: dict[str, Any] = {}
    for leaf in layout.leaves:
        out_WxC = outputs[leaf.kind]
        values = out_WxC[leaf.start : leaf.start + leaf.size // layout.chunks].T.reshape(-1)
        if leaf.ragged >= 0:
            column = out_WxC[layout.whole_width(leaf.kind) + leaf.ragged]
            values = jnp.concatenate([values, column[: leaf.size % layout.chunks]])
        array = values.reshape(leaf.shape)
        node = theta
        for key in leaf.path[:-1]:
            node = node.setdefault(key, {})
        node[leaf.path[-1]] = array
    return theta
