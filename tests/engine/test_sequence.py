import dataclasses

import jax
import numpy as np
import pytest
from conftest import HYPER, TINY, Small

from uncle_jax.engine.sequence import run_sequence
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.task_free import TASK_FREE
from uncle_jax.methods.registry import build
from uncle_jax.methods.uncle import uncle
from uncle_jax.requests import parse


def test_callbacks_follow_steps_and_requests(spec, blob_benchmark):
    steps, answered = [], []
    unseen = dataclasses.replace(HYPER, beta=0.0987)  # by other tests: it has to compile
    run = run_sequence(
        uncle(spec, 4, TINY, Small(), unseen),
        blob_benchmark,
        parse("L0 L1 U0"),
        jax.random.key(0),
        on_step=lambda step, total, loss: steps.append((step, total, float(loss))),
        on_request=lambda answer, state: answered.append((answer, state.status.tolist())),
    )
    learn, unlearn = 2 * 3, HYPER.burn_in  # two epochs of 48 images in batches of 16
    assert len(steps) == 2 * learn + unlearn
    assert [step for step, *_ in steps[:learn]] == list(range(1, learn + 1))
    assert steps[-1][:2] == (unlearn, unlearn)
    assert [status for _, status in answered] == [[1, 0, 0, 0], [1, 1, 0, 0], [2, 1, 0, 0]]
    assert [sorted(answer.accuracy) for answer, _ in answered] == [[0], [0, 1], [0, 1]]
    assert tuple(answer for answer, _ in answered) == run.answers
    assert run.answers[0].compile_seconds > 0
    assert all(answer.seconds > 0 for answer in run.answers)


def test_nothing_is_learned_when_a_request_cannot_be_answered(spec, blob_benchmark):
    steps = []
    with pytest.raises(UncleError, match="unknown task 7"):
        run_sequence(
            uncle(spec, 4, TINY, Small(), HYPER), blob_benchmark, parse("L0 L7"), jax.random.key(0),
            on_step=lambda *step: steps.append(step),
        )  # fmt: skip
    assert not steps


def test_an_unlearn_request_reads_no_data(spec, blob_benchmark):
    loaded = []

    def load(task, split):
        loaded.append((task, split))
        return blob_benchmark.load(task, split)

    method = uncle(spec, 4, TINY, Small(), HYPER)
    watched = dataclasses.replace(blob_benchmark, load=load)
    run_sequence(method, watched, parse("L0 L1 U0"), jax.random.key(0))
    assert loaded == [(0, "test"), (0, "train"), (1, "test"), (1, "train")]


def test_what_else_is_measured_of_each_request(spec, blob_benchmark):
    method = uncle(spec, 4, TINY, Small(), HYPER)
    found = run_sequence(method, blob_benchmark, parse("L0 L1 U0"), jax.random.key(0))
    first, second, last = (answer.measured for answer in found.answers)
    assert first.keys() == second.keys() == {"before", "guess", "kept_bytes", "phi_norm"}
    assert last.keys() == {"UNI", "read_bytes", "kept_bytes", "phi_norm", *TASK_FREE}
    assert second["guess"] == pytest.approx(100 / 3)
    # As a ledger, and so a run that was killed and goes on, has them.
    assert list(last) == sorted(last)
    assert 0 <= second["before"] <= 100
    assert last["read_bytes"] == 0
    assert last["kept_bytes"] > 4 * sum(a.size for a in jax.tree.leaves(found.state.phi))
    assert last["UNI"] <= 100
    leaves = jax.tree.leaves(found.state.phi)
    size = np.sqrt(sum(np.sum(np.square(leaf)) for leaf in leaves))
    assert last["phi_norm"] == pytest.approx(size, rel=1e-5)
    assert found.metrics["FWT"] == pytest.approx(second["before"] - 100 / 3)


def test_read_bytes_are_those_of_the_data_that_unlearning_was_handed(blob_benchmark):
    method = build("ssd", blob_benchmark.spec, 3, TINY, main_net=Small(9))
    found = run_sequence(method, blob_benchmark, parse("L0 L1 U0"), jax.random.key(0))
    data = blob_benchmark.load(0, "train")
    expected = np.asarray(data.images).nbytes + np.asarray(data.labels).nbytes
    assert found.answers[-1].measured["read_bytes"] == expected
