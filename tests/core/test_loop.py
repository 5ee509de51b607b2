"""Epochs: every image once, at the schedule's learning rate, and on from where a save was."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from conftest import TINY

from uncle_jax.core.loop import (
    Progress,
    descend,
    epoch_order,
    learning_rate,
    run_epochs,
    steps_per_epoch,
)
from uncle_jax.core.scanned import Step

KEY = jax.random.key(3)


def test_schedules():
    config = replace(TINY, epochs=60, lr=1.0)
    rates = [learning_rate(config, 10 * epoch, 10) for epoch in (0, 24, 25, 49, 50)]
    assert rates == [1, 1, 0.5, 0.5, 0.25]
    cosine = replace(config, schedule="cosine")
    assert learning_rate(cosine, 0, 10) == 1
    assert learning_rate(cosine, 300, 10) == pytest.approx(0.5)
    assert learning_rate(replace(config, schedule="constant"), 599, 10) == 1


def config(**more):
    return replace(TINY, epochs=3, batch_size=4, lr=1.0, schedule="constant", **more)


def test_descending_goes_against_the_direction():
    after = descend({"w": np.array([1.0, 2.0])}, {"w": np.array([10.0, -10.0])}, 0.1)
    np.testing.assert_allclose(after["w"], [0, 3])


@pytest.mark.parametrize("n", [8, 10, 3])
def test_an_epoch_holds_every_image_and_fills_its_last_batch(n):
    order = epoch_order(KEY, 1, n, 4)
    assert order.shape == (steps_per_epoch(n, 4), 4) == (-(-n // 4), 4)
    flat = order.ravel()
    assert sorted(flat[:n]) == list(range(n))
    np.testing.assert_array_equal(flat[n:], np.resize(flat[:n], len(flat))[n:])


def test_epochs_have_orders_of_their_own_that_follow_from_the_key():
    one, other = epoch_order(KEY, 0, 10, 4), epoch_order(KEY, 1, 10, 4)
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(one, epoch_order(jax.random.key(3), 0, 10, 4))
    assert not np.array_equal(one, epoch_order(jax.random.key(4), 0, 10, 4))


def note(static, carry, given, x):
    """A step whose carry is what it was asked."""
    del static, given
    index, batch, lr = x
    return [*carry, (index, *batch, float(lr))], index


def run(config, carry, progress, n=10):
    """`run_epochs` of steps that note what they are asked."""
    return run_epochs(config, KEY, n, carry, Step(note, None, None), progress, lambda *x: x)


class Kept:
    """Keeps each epoch's carry; starts after `done` epochs with `carry`, if one is given."""

    def __init__(self, done=0, carry=None):
        self.start, self.saves = (done, carry), []

    def resume(self, carry):
        return self.start if self.start[0] else (0, carry)

    def after_epoch(self, done, carry):
        self.saves.append((done, carry))


def test_steps_are_counted_over_epochs_and_told():
    told = []
    steps = run(config(), [], Progress(lambda *step: told.append(step)))
    assert [step[0] for step in steps] == list(range(9))
    assert told == [(i + 1, 9, i) for i in range(9)]
    for epoch in range(3):
        batches = [step[1:-1] for step in steps[3 * epoch : 3 * epoch + 3]]
        np.testing.assert_array_equal(batches, epoch_order(KEY, epoch, 10, 4))


def test_what_goes_on_from_a_save_ends_as_what_never_stopped():
    kept = Kept()
    whole = run(config(), [], Progress(inflight=kept))
    assert [done for done, _ in kept.saves] == [1, 2]  # none after the last: the request is done
    for save in kept.saves:
        again = Kept(*save)
        assert run(config(), ["not this"], Progress(inflight=again)) == whole
        assert [done for done, _ in again.saves] == list(range(save[0] + 1, 3))


def test_the_rate_of_each_step_is_the_schedules():
    halving = replace(config(), schedule="step", schedule_epochs=1, schedule_factor=0.5)
    rates = [step[-1] for step in run(halving, [], Progress(), 8)]
    assert rates == [1, 1, 0.5, 0.5, 0.25, 0.25]
