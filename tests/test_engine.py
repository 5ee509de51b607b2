import jax
import pytest
from conftest import TINY, Small

from uncle_jax.engine import CompileClock, load_task, run_sequence
from uncle_jax.errors import UncleError
from uncle_jax.methods.uncle import uncle
from uncle_jax.requests import parse


def test_callbacks_follow_steps_and_requests(spec, blob_benchmark):
    steps, answered = [], []
    run = run_sequence(
        uncle(spec, 4, TINY, Small()),
        blob_benchmark,
        parse("L0 L1 U0"),
        jax.random.key(0),
        on_step=lambda step, total, loss: steps.append((step, total, float(loss))),
        on_request=lambda answer, state: answered.append((answer, state.status.tolist())),
    )
    learn, unlearn = 2 * 3, TINY.burn_in  # two epochs of 48 images in batches of 16
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
            uncle(spec, 4, TINY, Small()), blob_benchmark, parse("L0 L7"), jax.random.key(0),
            on_step=lambda *step: steps.append(step),
        )  # fmt: skip
    assert not steps


def test_an_unlearn_request_reads_no_data(spec, blob_benchmark, monkeypatch):
    from uncle_jax import engine

    loaded = []
    original = engine.load_task
    monkeypatch.setattr(
        engine,
        "load_task",
        lambda b, task, *rest: (loaded.append(task), original(b, task, *rest))[1],
    )
    method = uncle(spec, 4, TINY, Small())
    run_sequence(method, blob_benchmark, parse("L0 L1 U0"), jax.random.key(0))
    assert loaded == [0, 1]


def test_validation_data_is_held_out_of_training(blob_benchmark):
    train, test = load_task(blob_benchmark, 0)
    rest, held = load_task(blob_benchmark, 0, "validation")
    assert len(rest.labels) + len(held.labels) == len(train.labels)
    assert len(test.labels) == 48
    with pytest.raises(UncleError, match="eval_split"):
        load_task(blob_benchmark, 0, "val")


def test_the_compile_clock_counts_nested_spans_once():
    clock = CompileClock()
    with clock:
        outer = jax.jit(lambda x: jax.jit(lambda y: y * 3)(x) + 1)
        import time

        start = time.perf_counter()
        outer(jax.numpy.ones(3)).block_until_ready()
        elapsed = time.perf_counter() - start
    assert 0 < clock.seconds <= elapsed * 1.01
