"""Embeddings that search for a network."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uncle_jax.core import adversary, hypernet, objectives


def test_they_start_apart():
    found = adversary.start(jax.random.key(0), 500, 4)
    np.testing.assert_allclose((found.emb.mean(), found.emb.std()), (0, 1), atol=0.05)


@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_a_step_is_adams_whatever_the_scale_of_the_distance(scale):
    start = adversary.start(jax.random.key(0), 3, 4)
    after = adversary.pursue(start, lambda emb: scale * jnp.sum(emb**2), 0.1)
    np.testing.assert_allclose(after.emb, start.emb - 0.1 * jnp.sign(start.emb), rtol=1e-3)


def test_where_nothing_changes_they_stay():
    start = adversary.start(jax.random.key(0), 3, 4)
    after = adversary.pursue(start, lambda emb: jnp.sum(0 * emb), 0.1)
    np.testing.assert_array_equal(after.emb, start.emb)


def test_they_find_a_network_that_is_still_generated(tiny_layout):
    task_emb = jax.random.normal(jax.random.key(0), (2, 4))
    chunk_emb = jax.random.normal(jax.random.key(1), (tiny_layout.chunks, 4))
    phi = hypernet.init(jax.random.key(2), tiny_layout, task_emb, chunk_emb, (8, 16))
    former = hypernet.outputs(phi, task_emb[0], chunk_emb)

    def distance(emb):
        return objectives.alignment(hypernet.outputs(phi, emb, chunk_emb), former, tiny_layout)

    step = jax.jit(lambda found: adversary.pursue(found, distance, 0.05))
    found = start = adversary.start(jax.random.key(3), 8, 4)
    for _ in range(150):
        found = step(found)
    before, after = (jax.vmap(distance)(one.emb) for one in (start, found))
    assert np.median(after) < 0.05 * np.median(before)
