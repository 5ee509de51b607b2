import jax
from conftest import HYPER, TINY, Small, assert_trees_close

from uncle_jax.engine.sequence import run_sequence
from uncle_jax.methods.hypernetwork.controls import never
from uncle_jax.methods.hypernetwork.learner import hnet
from uncle_jax.requests import parse


def answered(factory, benchmark, requests):
    method = factory(benchmark.spec, 4, TINY, Small(), HYPER)
    return run_sequence(method, benchmark, parse(requests), jax.random.key(3))


def test_never_is_the_stream_without_the_forgotten_tasks_requests(blob_benchmark):
    found = answered(never, blob_benchmark, "L0 L1 U0 L2 U2 L3")
    without = answered(hnet, blob_benchmark, "L1 L3")
    assert_trees_close(found.state.phi, without.state.phi, 0)
    assert_trees_close(found.state.task_emb, without.state.task_emb, 0)
    assert found.state.status.tolist() == without.state.status.tolist()
    last, alone = found.answers[-1].accuracy, without.answers[-1].accuracy
    assert set(last) == {0, 1, 2, 3}  # what it never learned is evaluated, too
    assert {task: last[task] for task in alone} == alone


def test_a_task_that_the_stream_ends_with_is_answered_though_it_was_forgotten_once(blob_benchmark):
    again = answered(never, blob_benchmark, "L0 U0 L1 L0")
    assert_trees_close(again.state.phi, answered(hnet, blob_benchmark, "L0 U0 L1 L0").state.phi, 0)
