import jax
import numpy as np
import pytest
from conftest import TINY

from uncle_jax.core import backbones, resnet
from uncle_jax.core import layout as layouts


@pytest.mark.parametrize("chunks", [1, 5, 7, 64])
def test_unpack_inverts_pack(chunks):
    shapes = {
        "conv": {"kernel": np.zeros((3, 3, 2, 8))},
        "norm": {"scale": np.zeros(8), "bias": np.zeros(8)},
        "proj_conv": {"kernel": np.zeros((1, 1, 8, 16))},
        "head": {"kernel": np.zeros((16, 3)), "bias": np.zeros(3)},
    }
    layout = layouts.make_layout(shapes, chunks)
    rng = np.random.RandomState(0)
    theta = jax.tree.map(lambda a: rng.normal(size=a.shape).astype(np.float32), shapes)
    packed = layouts.pack(layout, theta)
    for kind in layout.kinds:
        assert packed[kind].shape == (layout.width(kind), chunks)
    again = layouts.unpack(layout, packed)
    assert jax.tree.structure(again) == jax.tree.structure(theta)
    jax.tree.map(np.testing.assert_array_equal, again, theta)


def test_every_value_has_exactly_one_slot_and_surplus_is_masked(tiny_layout):
    slots = 0
    for kind in tiny_layout.kinds:
        mask = tiny_layout.mask(kind)
        slots += tiny_layout.whole_width(kind) * tiny_layout.chunks + int(mask.sum())
        assert mask.shape[1] == tiny_layout.width(kind) - tiny_layout.whole_width(kind)
    assert slots == tiny_layout.size
    # Numbering the slots and unpacking them meets every value once: none is used twice.
    start, numbered = 0, {}
    for kind in tiny_layout.kinds:
        n = tiny_layout.width(kind) * tiny_layout.chunks
        numbered[kind] = np.arange(start, start + n).reshape(-1, tiny_layout.chunks)
        start += n
    used = np.concatenate(
        [np.ravel(a) for a in jax.tree.leaves(layouts.unpack(tiny_layout, numbered))]
    )
    assert len(used) == len(set(used.tolist())) == tiny_layout.size


def test_kinds_follow_names():
    module = backbones.from_config(TINY, 3)
    layout = resnet.plan(module, (6, 6, 1), 5)[0]
    kind = {"/".join(leaf.path): leaf.kind for leaf in layout.leaves}
    assert kind["Conv_0/kernel"] == "weight"
    assert kind["BatchNorm_0/scale"] == "norm"
    assert kind["Dense_0/bias"] == "norm"
    assert kind["Block_1/proj_conv/kernel"] == "residual"
    assert kind["Block_1/proj_norm/scale"] == "residual"


def test_hash_tells_layouts_apart(tiny_layout):
    shapes = {"a": {"kernel": np.zeros((4, 4))}}
    assert layouts.make_layout(shapes, 2).hash == layouts.make_layout(shapes, 2).hash
    assert layouts.make_layout(shapes, 2).hash != layouts.make_layout(shapes, 3).hash
