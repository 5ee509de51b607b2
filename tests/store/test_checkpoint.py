import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uncle_jax.errors import UncleError
from uncle_jax.store import checkpoint
from uncle_jax.store.checkpoint import Damaged

IDENTITY = {"layout": "abc", "config": {"beta": 0.1, "trunk": [8, 16]}}


def tree(dtype=jnp.float32, width=5):
    shared = jnp.arange(width, dtype=dtype) / 3
    return {
        "phi": shared,
        "phi_star": shared,
        "status": jnp.array([0, 2], jnp.int32),
        "key": jax.random.key(7),
        "other": jax.random.key(7, impl="rbg"),
    }


@pytest.fixture
def saved(tmp_path):
    checkpoint.save(tmp_path / "c", 3, tree(), IDENTITY, {"asked": "L3"})
    return tmp_path / "c"


def test_a_tree_comes_back_bit_for_bit(saved):
    found = checkpoint.restore(saved, 3, jax.eval_shape(tree), IDENTITY)
    assert checkpoint.tree_hash(found) == checkpoint.tree_hash(tree())
    np.testing.assert_array_equal(
        jax.random.normal(found["other"], (3,)), jax.random.normal(tree()["other"], (3,))
    )
    assert found["phi"] is found["phi_star"]  # stored once, as it was one
    assert checkpoint.manifest(saved, 3)["record"] == {"asked": "L3"}
    assert checkpoint.committed(saved) == [3]


@pytest.mark.parametrize(
    ("like", "told"),
    [
        (lambda: tree(jnp.bfloat16), r"\['phi'\] as float32 \[5\], .* wants bfloat16 \[5\]"),
        (lambda: tree(width=6), r"\['phi'\] as float32 \[5\], .* wants float32 \[6\]"),
        (lambda: {**tree(), "key": jax.random.key(0, impl="rbg")}, r"\['key'\] as key<fry>"),
        (lambda: {**tree(), "more": jnp.zeros(1)}, r"structure: \['more'\]"),
    ],
)
def test_another_shape_or_dtype_is_refused_by_name(saved, like, told):
    with pytest.raises(UncleError, match=told):
        checkpoint.restore(saved, 3, jax.eval_shape(like), IDENTITY)


def test_a_process_of_another_precision_is_told_of_the_switch(saved, tmp_path):
    told = r"holds float32, .* in float64: unset JAX_ENABLE_X64"
    with jax.enable_x64(True), pytest.raises(UncleError, match=told):
        checkpoint.restore(saved, 3, jax.eval_shape(lambda: tree(jnp.float64)), IDENTITY)
    with jax.enable_x64(True):
        checkpoint.save(tmp_path / "w", 3, {"phi": jnp.arange(5) / 3}, IDENTITY, {})
    with pytest.raises(UncleError, match=r"holds float64, .* in float32: set JAX_ENABLE_X64"):
        checkpoint.restore(tmp_path / "w", 3, {"phi": jax.eval_shape(tree)["phi"]}, IDENTITY)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({**IDENTITY, "layout": "xyz"}, "layout abc, here xyz"),
        ({**IDENTITY, "config": {"beta": 0.5, "trunk": (8, 16)}}, "beta 0.1, here 0.5"),
    ],
)
def test_another_layout_or_configuration_is_refused_by_name(saved, other, told):
    with pytest.raises(UncleError, match=told):
        checkpoint.restore(saved, 3, jax.eval_shape(tree), other)


def test_a_newer_version_is_named(saved):
    content = {**checkpoint.unseal(saved / "3.json"), "format": 2}
    (saved / "3.json").write_bytes(checkpoint.seal(content))
    with pytest.raises(UncleError, match="written in format 2, this version reads 1"):
        checkpoint.restore(saved, 3, jax.eval_shape(tree), IDENTITY)


def test_every_file_is_checked(saved):
    files = [path for path in sorted(saved.rglob("*")) if path.is_file()]
    assert len(files) > 5
    for path in files:
        whole = path.read_bytes()
        for broken in (whole[:-1], bytes([whole[0] ^ 1]) + whole[1:], None):
            path.unlink() if broken is None else path.write_bytes(broken)
            with pytest.raises(Damaged):
                checkpoint.restore(saved, 3, jax.eval_shape(tree), IDENTITY)
        path.write_bytes(whole)
    checkpoint.restore(saved, 3, jax.eval_shape(tree), IDENTITY)


def test_a_manifest_that_lies_about_the_state_is_noticed(saved):
    content = json.loads((saved / "3.json").read_text())
    del content["sha256"]
    first, second = content["leaves"][2], content["leaves"][3]
    assert first["stored"] == second["stored"]  # phi and phi*
    (saved / "3.json").write_bytes(checkpoint.seal({**content, "state": "0" * 64}))
    with pytest.raises(Damaged, match="restores to another state"):
        checkpoint.restore(saved, 3, jax.eval_shape(tree), IDENTITY)


def test_a_copy_is_as_good(saved, tmp_path):
    checkpoint.copy(saved, tmp_path / "m", 3)
    found = checkpoint.restore(tmp_path / "m", 3, jax.eval_shape(tree), IDENTITY)
    assert checkpoint.tree_hash(found) == checkpoint.tree_hash(tree())


def test_a_carry_of_dataclasses_and_tuples(tmp_path):
    @jax.tree_util.register_dataclass
    @dataclasses.dataclass
    class Carry:
        phi: jax.Array
        optimiser: tuple

    carry = Carry(jnp.ones(3), (jnp.zeros((), jnp.int32), [jnp.ones((2, 2))]))
    checkpoint.save(tmp_path, 1, carry, {}, {}, flush=False)
    found = checkpoint.restore(tmp_path, 1, carry, {})
    assert checkpoint.tree_hash(found) == checkpoint.tree_hash(carry)
