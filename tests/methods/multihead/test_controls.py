import dataclasses

import jax
import numpy as np
from conftest import SPEC, TINY, Small, assert_trees_close

from uncle_jax.engine.sequence import run_sequence
from uncle_jax.methods.multihead import network as multihead
from uncle_jax.methods.multihead.controls import delete_head, never_derpp, reset
from uncle_jax.methods.multihead.derpp import derpp
from uncle_jax.requests import parse

N_TASKS = 3
NET = Small(N_TASKS * SPEC.n_classes)


def answered(factory, benchmark, requests):
    method = factory(benchmark.spec, N_TASKS, TINY, NET)
    return run_sequence(method, benchmark, parse(requests), jax.random.key(3))


def test_delete_head_zeroes_the_tasks_head_and_changes_nothing_else(blob_benchmark):
    before = answered(delete_head, blob_benchmark, "L0 L1")
    after = answered(delete_head, blob_benchmark, "L0 L1 U0")
    net = multihead.multihead(blob_benchmark.spec, N_TASKS, TINY, NET)
    mask = multihead.head_mask(net, before.state.params, 0)
    expected = jax.tree.map(lambda m, a: np.where(m, 0, a), mask, before.state.params)
    assert_trees_close(after.state.params, expected, 0)
    assert_trees_close(after.state.stats, before.state.stats, 0)
    assert int(after.state.buffer.count[0]) == 0
    method = delete_head(blob_benchmark.spec, N_TASKS, TINY, NET)
    logits = method.logits(after.state, 0, blob_benchmark.load(0, "test").images)
    assert not np.asarray(logits).any()
    assert after.answers[-1].accuracy[1] == before.answers[-1].accuracy[1]


def test_delete_head_lays_a_classs_output_flat_and_changes_nothing_else(blob_benchmark):
    own = dataclasses.replace(TINY, class_unlearning="own")
    method = delete_head(blob_benchmark.spec, N_TASKS, own, NET)
    run = run_sequence(method, blob_benchmark, parse("L0 L1 U1:2"), jax.random.key(3))
    before = answered(delete_head, blob_benchmark, "L0 L1")
    for name, layer in run.state.params.items():
        if name != "Dense_1":
            assert_trees_close(layer, before.state.params[name], 0)
    kernel, old = (np.asarray(r.state.params["Dense_1"]["kernel"]) for r in (run, before))
    np.testing.assert_allclose(kernel[:, 5], old[:, 3:5].mean(1), rtol=1e-5)
    np.testing.assert_array_equal(np.delete(kernel, 5, 1), np.delete(old, 5, 1))
    assert run.answers[-1].measured["class_1:2"] == 0
    assert 2 not in run.state.buffer.labels[1, : int(run.state.buffer.count[1])]


def test_reset_keeps_no_weight(blob_benchmark):
    before = answered(reset, blob_benchmark, "L0 L1").state
    after = answered(reset, blob_benchmark, "L0 L1 U0").state
    for old, new in zip(jax.tree.leaves(before.params), jax.tree.leaves(after.params), strict=True):
        if np.asarray(new).any():  # biases are drawn as zeros
            assert not np.isin(np.asarray(old), np.asarray(new)).any()
    assert int(after.buffer.count[1]) > 0


def test_never_derpp_is_the_stream_without_the_forgotten_tasks_requests(blob_benchmark):
    found = answered(never_derpp, blob_benchmark, "L0 L1 U0 L2")
    without = answered(derpp, blob_benchmark, "L1 L2")
    assert_trees_close(found.state.params, without.state.params, 0)
    assert set(found.answers[-1].accuracy) == {0, 1, 2}
