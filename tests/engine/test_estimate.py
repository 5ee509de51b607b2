import dataclasses

import pytest
from conftest import HYPER, TINY, Small

from uncle_jax.engine.estimate import estimate, in_words, peak_memory
from uncle_jax.methods.uncle import uncle
from uncle_jax.requests import parse


def test_the_total_is_steps_times_their_measured_seconds(blob_benchmark):
    config = dataclasses.replace(TINY, epochs=5)
    settings = dataclasses.replace(HYPER, burn_in=20)

    def factory(spec, n_tasks, config, settings):
        return uncle(spec, n_tasks, config, Small(), settings)

    told = estimate(factory, blob_benchmark, config, parse("L0 L1 U0"), settings)
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
