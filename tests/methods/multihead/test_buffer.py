import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

from uncle_jax.methods.multihead import buffer as buffers


def held(rng, n, batch, size):
    """Which numbers of a stream of `n` a reservoir holds in the end."""
    found = np.full(size, -1)
    for seen in range(0, n, batch):
        slots = buffers.reservoir_slots(rng, seen, min(batch, n - seen), size)
        kept = slots < size
        found[slots[kept]] = (seen + np.arange(len(slots)))[kept]
    return found


def test_reservoir_sampling_is_uniform():
    rng, size, n, trials = np.random.default_rng(0), 10, 63, 3000
    counts = np.zeros(n)
    for _ in range(trials):
        found = held(rng, n, 7, size)
        assert len(set(found)) == size
        counts[found] += 1
    # Counts of one trial exclude each other, so their spread is 1 - size / n of independent ones.
    statistic, _ = chisquare(counts)
    scaled = statistic / (1 - size / n)
    assert abs(scaled - (n - 1)) < 4 * np.sqrt(2 * (n - 1))


def test_a_stream_that_fits_is_held_whole():
    np.testing.assert_array_equal(held(np.random.default_rng(1), 8, 3, 10)[:8], np.arange(8))


def test_no_slot_is_written_twice_in_a_batch():
    rng = np.random.default_rng(2)
    for seen in (0, 5, 50):
        slots = buffers.reservoir_slots(rng, seen, 200, 4)
        written = slots[slots < 4]
        assert len(written) == len(set(written.tolist()))


def filled():
    buffer = buffers.empty(4, 3, (2, 2, 1), 5)
    images = np.arange(12, dtype=np.uint8).reshape(3, 2, 2, 1)
    buffer = buffers.store(buffer, 1, images, np.array([1, 2, 0]), jnp.ones((3, 5)), 3)
    return buffers.store(buffer, 3, images + 100, np.array([2, 2, 0]), jnp.ones((3, 5)), 2)


def test_rows_are_what_is_held_of_the_tasks_asked_for():
    rows = buffers.rows(filled(), (3, 1))
    np.testing.assert_array_equal(rows.tasks, [3, 3, 1, 1, 1])
    np.testing.assert_array_equal(rows.labels, [2, 2, 1, 2, 0])
    assert int(rows.images[0, 0, 0, 0]) == 100
    assert len(buffers.rows(filled(), (0,)).labels) == 0


def test_a_removed_task_leaves_nothing():
    before = filled()
    after = buffers.remove(before, 1)
    assert not np.any(after.images[1])
    assert not np.any(after.logits[1])
    assert after.count.tolist() == [0, 0, 0, 2]
    assert before.count.tolist() == [0, 3, 0, 2]


def test_floats_are_kept_to_1_in_255():
    images = jnp.full((3, 2, 2, 1), 0.5)
    found = buffers.store(
        buffers.empty(1, 3, (2, 2, 1), 5), 0, images, [0] * 3, jnp.ones((3, 5)), 3
    )
    assert found.images.dtype == jnp.uint8
    assert float(found.images[0, 0, 0, 0, 0]) / 255 == pytest.approx(0.5, abs=1 / 255)


def test_a_replay_batch_weighs_every_task_alike():
    count = np.array([0, 3, 0, 2, 3])
    tasks, items, weights = buffers.draw(np.random.default_rng(0), count, [1, 3, 4], 8)
    assert np.bincount(tasks).tolist() == [0, 3, 0, 3, 2]
    assert np.all(items < count[tasks])
    for task in (1, 3, 4):
        assert weights[tasks == task].sum() == pytest.approx(1 / 3)
    few = buffers.draw(np.random.default_rng(0), count, [1, 3, 4], 2)
    assert few[2].sum() == pytest.approx(1)


def test_classes_leave_the_buffer_and_the_others_move_up():
    whole = buffers.store(
        buffers.empty(2, 5, (1, 1, 1), 3),
        1,
        np.arange(1, 6, dtype=np.uint8).reshape(5, 1, 1, 1),
        np.array([0, 2, 1, 2, 0]),
        np.arange(15.0).reshape(5, 3),
        4,  # the last is none
    )
    after = buffers.without(whole, 1, (2,))
    assert after.count.tolist() == [0, 2]
    assert np.ravel(after.images[1]).tolist() == [1, 3, 0, 0, 0]
    assert after.labels[1].tolist() == [0, 1, 0, 0, 0]
    assert after.logits[1, :, 0].tolist() == [0, 6, 0, 0, 0]
    assert buffers.without(whole, 1, ()) is whole
    assert buffers.without(after, 0, (2,)).count.tolist() == [0, 2]
