import dataclasses
from types import SimpleNamespace

import jax
import pytest
from conftest import HYPER, TINY, Small

from uncle_jax.engine.estimate import (
    device_memory,
    estimate,
    flops_per_second,
    in_words,
    measure,
    peak_memory,
)
from uncle_jax.methods import registry
from uncle_jax.methods.uncle import uncle
from uncle_jax.requests import parse

CONFIG = dataclasses.replace(TINY, epochs=5)
SETTINGS = dataclasses.replace(HYPER, burn_in=20)


def factory(spec, n_tasks, config, settings):
    return uncle(spec, n_tasks, config, Small(), settings)


def test_the_measured_total_is_steps_times_their_seconds(blob_benchmark):
    told = measure(factory, blob_benchmark, CONFIG, parse("L0 L1 U0"), SETTINGS)
    steps = 2 * 5 * 3  # two tasks, five epochs of 48 images in batches of 16
    evaluations = (1 + 2 + 2) * 3
    expected = (
        steps * told["learn_step_seconds"]
        + 20 * told["unlearn_step_seconds"]
        + evaluations * told["eval_batch_seconds"]
    )
    assert told["total_seconds"] == pytest.approx(expected)
    assert told["compile_seconds"] > told["learn_step_seconds"] > 0
    assert told["peak_memory_bytes"] > 50e6


def test_epochs_and_iterations_count_as_often_as_they_are_run(blob_benchmark):
    def total(config=CONFIG, settings=SETTINGS, requests="L0 L1 U0"):
        return estimate(factory, blob_benchmark, config, parse(requests), settings)

    told = total()
    tflop = told["total_tflop"] - total(dataclasses.replace(CONFIG, epochs=4))["total_tflop"]
    steps = 2 * 3  # one epoch of each task
    assert tflop * 1e3 <= steps * told["learn_step_gflop"]  # the second holds a task, so is dearer
    assert tflop * 1e3 > 0.7 * steps * told["learn_step_gflop"]
    few = total(settings=dataclasses.replace(SETTINGS, burn_in=10))
    saved = (told["total_tflop"] - few["total_tflop"]) * 1e3
    assert saved == pytest.approx(10 * told["unlearn_step_gflop"])
    assert told["total_seconds"] > 0
    assert "GFLOP/s" in told["how"]


def test_what_is_retained_counts(blob_benchmark):
    alone, beside = (
        estimate(factory, blob_benchmark, CONFIG, parse(requests), SETTINGS)["unlearn_step_gflop"]
        for requests in ("L0 U0", "L0 L1 U0")
    )
    assert beside > alone


@pytest.mark.parametrize("name", ["refit", "clpu", "scrub"])  # each learner; one that reads data
def test_any_method_can_be_rehearsed(name, blob_benchmark, monkeypatch):
    monkeypatch.setattr("uncle_jax.engine.estimate.measure", None)

    def make(spec, n_tasks, config, settings):
        return registry.build(name, spec, n_tasks, config, settings)

    told = estimate(make, blob_benchmark, TINY, parse("L0 L1 U0"))
    assert told["learn_step_gflop"] > 0
    assert told["total_tflop"] * 1e3 > told["learn_step_gflop"]


def test_a_method_that_is_not_made_of_pieces_is_measured(blob_benchmark):
    def own(spec, n_tasks, config, settings):
        method = factory(spec, n_tasks, config, settings)

        def learn(state, task, data, *, on_step=None, inflight=None):
            for step in range(config.epochs * 3):
                if on_step:
                    on_step(step + 1, config.epochs * 3, jax.numpy.zeros(()))
            return state

        return method._replace(learn=learn, unlearn=lambda state, task, *, on_step=None: state)

    told = estimate(own, blob_benchmark, CONFIG, parse("L0"), SETTINGS)
    assert told["how"].startswith("measured")


def test_the_device_does_some_operations_a_second():
    assert flops_per_second(images=2) > 1e6


def test_peak_memory_does_not_fall():
    first = peak_memory()
    block = bytearray(30_000_000)
    assert peak_memory() >= first
    assert len(block) == 30_000_000


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(40, "40 s"), (119, "119 s"), (720, "12 min"), (9000, "2.5 h"), (181440, "2.1 days")],
)
def test_durations_are_said_as_people_say_them(seconds, words):
    assert in_words(seconds) == words


def test_a_device_that_says_so_has_so_much_memory(monkeypatch):
    assert device_memory() is None  # a CPU
    stats = {"bytes_limit": 5, "bytes_in_use": 1}
    monkeypatch.setattr(jax, "devices", lambda: [SimpleNamespace(memory_stats=lambda: stats)])
    assert device_memory() == 5
