import jax
import jax.numpy as jnp
import numpy as np
import pytest

from uncle_jax.core import hypernet

TASKS, EMBEDDING = 4, 8


@pytest.mark.parametrize("parametrisation", ["hyperfan", "gain"])
def test_every_generated_leaf_has_he_variance_at_init(tiny_layout, parametrisation):
    """Over tasks, chunks and 3,000 draws of the heads and trunk; norm scales are 1, shifts 0."""

    @jax.jit
    @jax.vmap
    def moments(key):
        k_task, k_chunk, k_phi = jax.random.split(key, 3)
        task_emb = jax.random.normal(k_task, (TASKS, EMBEDDING))
        chunk_emb = jax.random.normal(k_chunk, (tiny_layout.chunks, EMBEDDING))
        phi = hypernet.init(k_phi, tiny_layout, task_emb, chunk_emb, (32, 64), parametrisation)
        theta = jax.vmap(
            lambda e: hypernet.generate(phi, e, chunk_emb, tiny_layout, parametrisation)
        )(task_emb)
        return jax.tree.map(lambda a: (jnp.mean(a), jnp.mean(a**2)), theta)

    drawn = moments(jax.random.split(jax.random.key(0), 3000))
    for leaf in tiny_layout.leaves:
        node = drawn
        for key in leaf.path:
            node = node[key]
        mean, square = (float(jnp.mean(part)) for part in node)
        if leaf.variance:
            assert square - mean**2 == pytest.approx(leaf.variance, rel=0.05), leaf.path
            assert leaf.variance == pytest.approx(2 / np.prod(leaf.shape[:-1]))
        else:
            assert (mean, square) == pytest.approx((leaf.base, leaf.base**2), abs=1e-6), leaf.path


def test_generate_depends_on_the_embedding_alone(tiny_layout):
    @jax.jit
    def draw(key):
        task_emb = jax.random.normal(key, (3, EMBEDDING))
        chunk_emb = jax.random.normal(key, (tiny_layout.chunks, EMBEDDING))
        return hypernet.init(key, tiny_layout, task_emb, chunk_emb, (8, 16)), task_emb, chunk_emb

    phi, task_emb, chunk_emb = draw(jax.random.key(1))
    generate = jax.jit(lambda emb: hypernet.generate(phi, emb, chunk_emb, tiny_layout))
    first, again, other = map(generate, (task_emb[0], jnp.array(task_emb[0]), task_emb[1]))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    assert not np.allclose(first["conv"]["kernel"], other["conv"]["kernel"])
