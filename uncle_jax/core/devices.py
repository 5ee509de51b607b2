"""One learner on several devices: a mesh, and where what a request computes with lies on it.

Within `jax.set_mesh(mesh(data=4, model=2))` the requests of a learner with a hypernetwork are
spread. Over "model" lie the columns of phi's heads, with them the optimiser's moments of them, phi*
and the anchor, so that the drift's products are shared; over "data" lie batches. All else, theta
too once it is generated, is on every device. Columns that no leaf has fill a head up to a multiple
of "model". Between requests a state is whole wherever it is, as without a mesh: what stores, saves
and predictions see has nothing of devices in it, and what was learned on one goes on on another.
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.core import Tracer
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec

from uncle_jax.core.hypernet import Phi
from uncle_jax.core.interning import interned
from uncle_jax.core.layout import Layout
from uncle_jax.core.loop import Inflight
from uncle_jax.core.network import Network
from uncle_jax.errors import UncleError

T = TypeVar("T")
AXES = "data", "model"
EVERYWHERE, COLUMNS, BATCH = PartitionSpec(), PartitionSpec(None, "model"), PartitionSpec("data")


def mesh(data: int = 1, model: int = 1) -> Mesh:
    """A mesh of the first data * model devices; of several processes, of all. Raises UncleError."""
    wanted, there = data * model, jax.devices()
    if jax.process_count() > 1 and wanted != len(there):
        raise UncleError(
            f"a mesh of data={data} and model={model} has {wanted} devices, and the "
            f"{jax.process_count()} processes have {len(there)}: it must have them all"
        )
    if data < 1 or model < 1 or wanted > len(there):
        raise UncleError(
            f"a mesh of data={data} and model={model} needs {wanted} devices, and there "
            f"{'is 1' if len(there) == 1 else f'are {len(there)}'}"
        )
    kinds = AxisType.Auto, AxisType.Auto
    return jax.make_mesh((data, model), AXES, axis_types=kinds, devices=there[:wanted])


def ambient() -> Mesh | None:
    """The mesh of `jax.set_mesh` around, if its axes are these."""
    found = jax.sharding.get_mesh()
    return found if _has_axes(found) else None


def everywhere(tree: T) -> T:
    """`tree` on every device of the mesh around; traced where it is called."""
    return _constrained(tree, EVERYWHERE)


def over_data(tree: T) -> T:
    """A batch [B, ...], spread over the mesh around, if there is one."""
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(tree)):
        return _constrained(tree, BATCH)
    around = ambient()
    return tree if around is None else _put(tree, NamedSharding(around, BATCH))


def _constrained(tree: T, spec: PartitionSpec) -> T:
    if not _has_axes(jax.sharding.get_abstract_mesh()):
        return tree
    return jax.lax.with_sharding_constraint(tree, spec)


def _has_axes(around: Mesh | AbstractMesh) -> bool:
    return {*AXES} <= {*around.axis_names}


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a request computes: on a mesh, or where everything is (None)."""

    net: Network  # its heads as wide as the mesh wants them
    narrow: Layout  # as a state has them
    mesh: Mesh | None

    def out(self, tree: T) -> T:
        """A state, or a carry of one, on the mesh."""
        if self.mesh is None:
            return tree
        on, widths = self.mesh, self.net.layout.width

        def put(part: Any) -> Any:
            if not isinstance(part, Phi):
                return _put(part, NamedSharding(on, EVERYWHERE))
            heads = {kind: _fitted(head, widths(kind)) for kind, head in part.heads.items()}
            trunk = _put(part.trunk, NamedSharding(on, EVERYWHERE))
            return Phi(trunk, _put(heads, NamedSharding(on, COLUMNS)))

        return _by_phi(put, tree)

    def home(self, tree: T) -> T:
        """What `out` had, whole again."""
        if self.mesh is None:
            return tree
        on, widths = self.mesh, self.narrow.width
        here = jax.tree.map(lambda a: jnp.asarray(np.asarray(_whole(a, on))), tree)

        def cut(part: Any) -> Any:
            if not isinstance(part, Phi):
                return part
            heads = {kind: _fitted(head, widths(kind)) for kind, head in part.heads.items()}
            return part._replace(heads=heads)

        return _by_phi(cut, here)

    def inflight(self, theirs: Inflight | None) -> Inflight | None:
        """Saves of a request under way that know no mesh."""
        return theirs if theirs is None or self.mesh is None else _AtHome(self, theirs)


def place(net: Network) -> Place:
    """Where a request of `net`'s learner computes. Raises UncleError."""
    around = ambient()
    if around is None:
        return Place(net, net.layout, None)
    batch, data = net.config.batch_size, around.shape["data"]
    if batch % data:
        raise UncleError(f"batches of {batch} cannot be spread over data={data}")
    return Place(_wide(net, around.shape["model"]), net.layout, around)


@interned
def _wide(net: Network, multiple: int) -> Network:
    """`net` with heads of a multiple of columns; the same one for equal arguments."""
    return dataclasses.replace(net, layout=dataclasses.replace(net.layout, multiple=multiple))


def _put(tree: T, where: NamedSharding) -> T:
    """`tree` on a mesh; on one of several processes, all of which have it, each its own part."""
    if where.is_fully_addressable:
        return jax.device_put(tree, where)
    return jax.tree.map(partial(_put_one, where), tree)


def _put_one(where: NamedSharding, leaf: Any) -> Array:
    if isinstance(leaf, Array) and not leaf.is_fully_addressable:  # on the mesh already
        return jax.device_put(leaf, where)
    if isinstance(leaf, Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        data = _put_one(where, jax.random.key_data(leaf))
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(leaf))
    whole = np.asarray(leaf)
    return jax.make_array_from_callback(whole.shape, where, lambda index: whole[index])


def _whole(array: Array, on: Mesh) -> Array:
    """`array`, every process having all of it."""
    if array.is_fully_addressable or array.is_fully_replicated:
        return array
    return jax.device_put(array, NamedSharding(on, EVERYWHERE))


def _fitted(head: Array, width: int) -> Array:
    """A head [U, W] with columns of 0 more, or without them."""
    more = width - head.shape[1]
    return jnp.pad(head, ((0, 0), (0, more))) if more > 0 else head[:, :width]


def _by_phi(function: Callable[[Any], Any], tree: Any) -> Any:
    return jax.tree.map(function, tree, is_leaf=lambda part: isinstance(part, Phi))


@dataclasses.dataclass(frozen=True)
class _AtHome:
    place: Place
    theirs: Inflight

    def resume(self, carry: Any) -> tuple[int, Any]:
        done, kept = self.theirs.resume(self.place.home(carry))
        return done, self.place.out(kept)

    def after_epoch(self, done: int, carry: Any) -> None:
        self.theirs.after_epoch(done, self.place.home(carry))
