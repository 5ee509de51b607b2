import dataclasses

import jax
import numpy as np
import pytest
from conftest import HYPER, SPEC, TINY, Small, blobs

from uncle_jax.core.status import describe
from uncle_jax.errors import UncleError
from uncle_jax.methods.hypernetwork.learner import hnet


def same(a, b):
    jax.tree.map(np.testing.assert_array_equal, a, b)


@pytest.fixture(scope="module")
def learned():
    method = hnet(SPEC, 4, TINY, Small(), HYPER)
    state = method.init(jax.random.key(0))
    for task in (0, 2):
        state = method.learn(state, task, blobs(2 * task))
    return method, state


def test_hnet_only_lets_the_task_go(learned):
    method, state = learned
    after = method.unlearn(state, 0)
    same(after.phi, state.phi)
    same(after.task_emb, state.task_emb)
    same(after.norm_stats, state.norm_stats)  # so its accuracy stays as it was
    assert after.retained.tolist() == [False, False, True, False]  # what L_reg holds
    assert describe(state)["learned"] == [0, 2]
    assert int(after.n_unlearned) == 1
    with pytest.raises(UncleError, match="not learned"):
        method.unlearn(after, 0)


def test_a_class_goes_without_data_and_nothing_else_moves():
    """Exact while there are no more rows (chunks times tasks) than features."""
    own = dataclasses.replace(TINY, class_unlearning="own")
    method = hnet(SPEC, 4, own, Small(), dataclasses.replace(HYPER, trunk=(8, 32)))
    state = method.init(jax.random.key(0))
    for task in (0, 2):
        state = method.learn(state, task, blobs(2 * task))
    after = method.unlearn_classes(state, 2, [1])
    images = blobs(4).images
    for task in (0, 2):
        old, new = (np.asarray(method.logits(s, task, images)) for s in (state, after))
        if task == 2:
            np.testing.assert_allclose(new[:, 1], (old[:, 0] + old[:, 2]) / 2, atol=2e-3)
            old, new = old[:, [0, 2]], new[:, [0, 2]]
        np.testing.assert_allclose(new, old, atol=2e-3)
    assert describe(after)["learned"] == [0, 2]
    same(after.task_emb, state.task_emb)
    same(after.phi_star, after.phi)
    same(after.phi.trunk, state.phi.trunk)
    for task, classes, message in ((2, [3], "unknown class 3"), (0, [0, 1, 2], "no other class")):
        with pytest.raises(UncleError, match=message):
            method.unlearn_classes(state, task, classes)
    with pytest.raises(UncleError, match="task 1 is not learned"):
        method.unlearn_classes(state, 1, [0])
    assert hnet(SPEC, 4, TINY, Small(), HYPER).unlearn_classes is None


def test_the_network_of_a_task_is_ready_to_apply(learned):
    method, state = learned
    theta, stats = method.network(state, 2)
    images = blobs(4).images
    x = (images / np.float32(255) - 0.5) / 0.25
    ours = Small().apply({"params": theta, "batch_stats": stats}, x, train=False)
    np.testing.assert_allclose(ours, method.logits(state, 2, images), rtol=1e-5, atol=1e-5)
    with pytest.raises(UncleError, match="unknown task 4"):
        method.network(state, 4)


def arrays_of(tree):
    return {jax.tree_util.keystr(p): leaf for p, leaf in jax.tree_util.tree_leaves_with_path(tree)}


def test_an_old_phi_is_tried_under_the_embeddings_that_are_there(learned):
    method, state = learned
    old = method.init(jax.random.key(9))
    _, _, under_present = method.partial(state, arrays_of(old), 0)
    same(under_present.phi, old.phi)
    same(under_present.task_emb, state.task_emb)


def test_an_in_request_save_is_tried_in_the_tasks_place(learned):
    method, state = learned
    stats = jax.tree.map(lambda a: a[0] + 1, state.norm_stats)
    saved = {".emb": np.full(4, 7.0), **{f".stats{k}": v for k, v in arrays_of(stats).items()}}
    _, in_place, _ = method.partial(state, saved, 1)
    assert in_place.task_emb[1].tolist() == [7.0] * 4
    same(in_place.task_emb[2], state.task_emb[2])
    same(jax.tree.map(lambda a: a[1], in_place.norm_stats), stats)
