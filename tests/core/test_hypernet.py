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


def test_dead_units_are_drawn_anew_and_nothing_moves_where_they_were_dead():
    key = jax.random.key(4)
    task_emb, chunk_emb = jax.random.normal(key, (2, 5)), jax.random.normal(key, (3, 5))
    first, second = (
        hypernet.Dense(w, b)
        for w, b in (
            (jax.random.normal(key, (10, 6)), jnp.zeros(6).at[jnp.array([1, 4])].set(-99.0)),
            (jax.random.normal(key, (6, 7)), jnp.zeros(7).at[jnp.array([0, 2, 5])].set(-99.0)),
        )
    )
    phi = hypernet.Phi((first, second), {"weight": jax.random.normal(key, (8, 4))})

    def all_outputs(phi, embs):
        return np.stack([hypernet.outputs(phi, e, chunk_emb)["weight"] for e in embs])

    def alive(phi):
        u = np.asarray(hypernet.features(phi.trunk, task_emb, chunk_emb))[..., :-1]
        return np.any(u > 0, axis=(0, 1))

    after, count = hypernet.revived(jax.random.key(5), phi, task_emb, chunk_emb)
    assert int(count) >= 5
    assert not alive(phi)[[0, 2, 5]].any()
    np.testing.assert_allclose(
        all_outputs(after, task_emb), all_outputs(phi, task_emb), rtol=1e-5, atol=1e-5
    )
    dead = ~alive(phi)
    assert alive(after)[dead].mean() > 0.5
    assert not np.any(np.asarray(after.heads["weight"])[:-1][dead])
    assert not np.any(np.asarray(after.trunk[1].w)[[1, 4]][:, ~dead])  # what was dead is not read
    np.testing.assert_array_equal(after.trunk[0].w[:, 0], first.w[:, 0])
    other = 60 * jax.random.normal(jax.random.key(9), (20, 5))  # where they lived
    assert np.any(np.abs(all_outputs(after, other) - all_outputs(phi, other)) > 1e-3)


def test_who_has_no_dead_unit_stays_as_it_is():
    key = jax.random.key(4)
    task_emb, chunk_emb = jax.random.normal(key, (2, 5)), jax.random.normal(key, (3, 5))
    trunk = (hypernet.Dense(jax.random.normal(key, (10, 6)), jnp.full(6, 50.0)),)
    phi = hypernet.Phi(trunk, {"weight": jax.random.normal(key, (7, 4))})
    after, count = hypernet.revived(jax.random.key(5), phi, task_emb, chunk_emb)
    assert int(count) == 0
    jax.tree.map(np.testing.assert_array_equal, after, phi)
