import jax
import numpy as np
import pytest

from uncle_jax.core import heads
from uncle_jax.errors import UncleError

RNG = np.random.default_rng(0)
PARAMS = {
    "body": {"kernel": RNG.normal(size=(4, 6)), "bias": RNG.normal(size=6)},
    "head": {"kernel": RNG.normal(size=(6, 5)), "bias": RNG.normal(size=5)},
}


def test_a_class_without_its_column_is_never_answered_whatever_is_shown():
    gone, others = np.array([0, 1, 0, 0, 0], bool), np.array([1, 0, 1, 1, 0], bool)
    after = heads.without_classes(PARAMS, gone, others)
    jax.tree.map(np.testing.assert_array_equal, after["body"], PARAMS["body"])
    for name in ("kernel", "bias"):
        before, now = PARAMS["head"][name], np.asarray(after["head"][name])
        np.testing.assert_allclose(now[..., ~gone], before[..., ~gone], rtol=1e-6)
        np.testing.assert_allclose(now[..., 1], before[..., others].mean(-1), rtol=1e-5)
    shown = RNG.normal(size=(500, 6)) * 10
    logits = shown @ np.asarray(after["head"]["kernel"]) + np.asarray(after["head"]["bias"])
    assert not np.any(logits.argmax(-1) == 1)


def test_a_head_is_the_one_dense_layer_of_its_width():
    assert [key.key for key in heads.home(PARAMS, 5)] == ["head"]
    with pytest.raises(UncleError, match=r"0 dense layers with 7 outputs .classes., expected one"):
        heads.home(PARAMS, 7)
    two = {**PARAMS, "other": {"kernel": np.zeros((3, 5))}}
    with pytest.raises(UncleError, match="main_net has 2 dense layers with 5 outputs"):
        heads.home(two, 5)
