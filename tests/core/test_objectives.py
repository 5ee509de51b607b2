import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import assert_trees_close

from uncle_jax.core import hypernet, objectives

TASKS, EMBEDDING, TRUNK = 6, 4, (8, 16)


@pytest.fixture(scope="module")
def setting(tiny_layout):
    """phi, phi* some way from it, embeddings, and weights with two tasks masked out."""

    @jax.jit  # at once: op by op it compiles for seconds
    def draw(key):
        keys = jax.random.split(key, 4)
        task_emb = jax.random.normal(keys[0], (TASKS, EMBEDDING))
        chunk_emb = jax.random.normal(keys[1], (tiny_layout.chunks, EMBEDDING))
        star = hypernet.init(keys[2], tiny_layout, task_emb, chunk_emb, TRUNK)
        leaves, tree = jax.tree.flatten(star)
        moved = [
            a + 0.02 * jax.random.normal(k, a.shape)
            for k, a in zip(jax.random.split(keys[3], len(leaves)), leaves, strict=True)
        ]
        return jax.tree.unflatten(tree, moved), star, task_emb, chunk_emb

    weight = jnp.array([1.0, 0, 1, 1, 0, 1]) / 4
    return tiny_layout, *draw(jax.random.key(0)), weight


def _drift(setting, form, gains=None):
    """Drift, and its gradients by phi and by the task embeddings."""
    layout, phi, star, task_emb, chunk_emb, weight = setting

    @jax.jit
    def measured(phi, star, task_emb, chunk_emb, weight):
        anchor = objectives.drift_anchor(star, task_emb, chunk_emb, weight, layout, form, gains)

        def value(phi, task_emb):
            return objectives.drift(phi, anchor, task_emb, chunk_emb, layout, gains)

        return jax.value_and_grad(value, argnums=(0, 1))(phi, task_emb)

    return measured(phi, star, task_emb, chunk_emb, weight)


def _by_definition(setting, gains=None):
    """sum_t w_t ||theta_t - theta*_t||^2 over the values of theta themselves, surplus left out."""
    layout, phi, star, task_emb, chunk_emb, weight = setting
    scale = "hyperfan" if gains is None else "gain"

    def distance(phi, emb, emb_then):
        now = hypernet.generate(phi, emb, chunk_emb, layout, scale)
        then = hypernet.generate(star, emb_then, chunk_emb, layout, scale)
        squares = jax.tree.map(lambda a, b: jnp.sum((a - b) ** 2), now, then)
        return sum(jax.tree.leaves(squares))

    def value(phi, embeddings):
        return weight @ jax.vmap(distance, (None, 0, 0))(phi, embeddings, task_emb)

    return jax.jit(jax.value_and_grad(value, argnums=(0, 1)))(phi, task_emb)


@pytest.mark.parametrize("form", ["exact", "direct"])
@pytest.mark.parametrize("space", ["generated", "theta"])
def test_drift_is_the_distance_between_generated_networks(setting, form, space):
    gains = hypernet.gains(setting[0], "gain") if space == "theta" else None
    value, grads = _drift(setting, form, gains)
    expected, expected_grads = _by_definition(setting, gains)
    assert float(value) == pytest.approx(float(expected), rel=1e-5)
    assert_trees_close(grads, expected_grads, rtol=1e-5)


def test_exact_drift_equals_direct_in_value_and_every_gradient(setting):
    value, grads = _drift(setting, "exact")
    expected, expected_grads = _drift(setting, "direct")
    assert float(value) == pytest.approx(float(expected), rel=1e-5)
    assert_trees_close(grads, expected_grads, rtol=1e-5)


def test_masked_tasks_do_not_count(setting):
    layout, phi, star, task_emb, chunk_emb, weight = setting
    moved = task_emb.at[jnp.array([1, 4])].add(3.0)
    for form in ("exact", "direct"):
        with_moved, _ = _drift((layout, phi, star, moved, chunk_emb, weight), form)
        assert float(with_moved) == pytest.approx(float(_drift(setting, form)[0]), rel=1e-6)
        value, (grad, _) = _drift((layout, phi, star, moved, chunk_emb, 0 * weight), form)
        assert value == 0
        assert all(np.all(np.asarray(g) == 0) for g in jax.tree.leaves(grad))


def test_drift_vanishes_at_the_snapshot(setting):
    layout, _, star, *rest = setting
    for form in ("exact", "direct"):
        value, (grad, _) = _drift((layout, star, star, *rest), form)
        assert float(value) == pytest.approx(0, abs=1e-8)
        assert max(np.abs(g).max() for g in jax.tree.leaves(grad)) < 1e-5


def test_choice_of_form_follows_the_count():
    columns = 55_870  # a ResNet-18 in 200 chunks
    forms = [objectives.choose_form("auto", 200 * t, 513, columns) for t in (1, 2, 3, 4, 20, 50)]
    assert forms == ["direct"] * 3 + ["exact"] * 3
    assert objectives.choose_form("direct", 10_000, 513, columns) == "direct"


def test_collapsed_noise_has_the_literal_forms_gradient(setting):
    """Same z_i: mean_i ||out - z_i||^2 and ||out - mean z||^2 differ by a constant."""
    layout, phi, _, task_emb, chunk_emb, _ = setting

    @jax.jit
    def measured(phi, task_emb, chunk_emb):
        out = hypernet.outputs(phi, task_emb[0], chunk_emb)
        keys = jax.random.split(jax.random.key(5), 10)
        z_N = jax.vmap(lambda k: objectives.noise_like(k, out))(keys)
        mean = jax.tree.map(lambda z: z.mean(0), z_N)
        return (
            jax.value_and_grad(objectives.mean_alignment)(out, z_N, layout),
            jax.value_and_grad(objectives.alignment)(out, mean, layout),
            objectives.mean_alignment(mean, z_N, layout),
        )

    (literal, to_literal), (collapsed, to_collapsed), spread = measured(phi, task_emb, chunk_emb)
    assert_trees_close(to_literal, to_collapsed, rtol=1e-5)
    assert float(literal - collapsed) == pytest.approx(float(spread), rel=1e-4)


@pytest.mark.parametrize("form", ["collapsed", "literal"])
def test_both_noise_forms_pull_towards_noise_of_the_same_spread(setting, form):
    """At out = 0 the gradient is -2 mean z: zero on surplus slots, std 2 / sqrt(N) on others."""
    layout, phi, _, task_emb, chunk_emb, _ = setting
    out = jax.tree.map(jnp.zeros_like, hypernet.outputs(phi, task_emb[0], chunk_emb))

    @jax.jit
    @jax.vmap
    def pull(key):
        def aligned(out):
            return objectives.noise_alignment(key, out, layout, "gaussian", 10, form)

        return jax.grad(aligned)(out)

    grads = pull(jax.random.split(jax.random.key(6), 300))
    for kind, grad in grads.items():
        cut = layout.whole_width(kind)
        used = np.broadcast_to(layout.mask(kind).T == 1, grad[:, cut:].shape)
        assert np.all(np.asarray(grad[:, cut:])[~used] == 0)
        values = np.concatenate([np.ravel(grad[:, :cut]), np.asarray(grad[:, cut:])[used]])
        assert np.std(values) == pytest.approx(2 / np.sqrt(10), rel=0.03)


def test_fixed_and_norm_noise(setting):
    layout, phi, _, task_emb, chunk_emb, _ = setting
    out = hypernet.outputs(phi, task_emb[0], chunk_emb)
    theta = hypernet.generate(phi, task_emb[0], chunk_emb, layout)
    squares = sum(float(jnp.sum(a**2)) for a in jax.tree.leaves(theta))
    key = jax.random.key(0)
    norm = objectives.noise_alignment(key, out, layout, "norm", 10, "collapsed")
    assert float(norm) == pytest.approx(squares, rel=1e-5)
    fixed = objectives.noise_alignment(key, out, layout, "fixed", 10, "collapsed")
    z = objectives.noise_like(key, out)
    assert float(fixed) == pytest.approx(float(objectives.alignment(out, z, layout)), rel=1e-6)


def test_the_authors_norm_is_not_squared(setting):
    layout, phi, _, task_emb, chunk_emb, _ = setting
    out, key = hypernet.outputs(phi, task_emb[0], chunk_emb), jax.random.key(0)

    def aligned(out, noise):
        return objectives.noise_alignment(key, out, layout, noise, 10, "collapsed")

    root = aligned(out, "norm-root")
    assert float(root) == pytest.approx(float(aligned(out, "norm")) ** 0.5, rel=1e-6)
    grad = jax.grad(aligned)(jax.tree.map(jnp.zeros_like, out), "norm-root")
    assert all(np.all(np.isfinite(a)) for a in jax.tree.leaves(grad))


def test_noise_is_a_kinds_own_whatever_the_order(setting):
    """A dict through jit comes back sorted: noise must not change with it."""
    _, phi, _, task_emb, chunk_emb, _ = setting
    out, key = hypernet.outputs(phi, task_emb[0], chunk_emb), jax.random.key(0)
    there = objectives.noise_like(key, out)
    back = objectives.noise_like(key, dict(reversed(out.items())))
    alone = objectives.noise_like(key, {"norm": out["norm"]})
    for kind in out:
        np.testing.assert_array_equal(there[kind], back[kind])
    np.testing.assert_array_equal(there["norm"], alone["norm"])
    shape = out["norm"].shape
    same = objectives.noise_like(key, {kind: jnp.zeros(shape) for kind in ("weight", "norm")})
    assert np.any(same["weight"] != same["norm"])


def test_fixed_noise_weighs_the_regulariser_instead():
    assert objectives.unlearn_weights(0.1, "gaussian") == (0.1, 1.0)
    assert objectives.unlearn_weights(0.1, "norm") == (0.1, 1.0)
    assert objectives.unlearn_weights(0.1, "fixed") == (1.0, 0.1)


def test_fresh_embeddings_are_standard_normal_or_near_the_one_given():
    emb, key = 5 * jnp.ones(4), jax.random.key(0)
    far = objectives.fresh_embeddings(key, emb, 1000, None)
    near = objectives.fresh_embeddings(key, emb, 1000, 0.3)
    assert far.shape == near.shape == (1000, 4)
    np.testing.assert_allclose((far.mean(), far.std()), (0, 1), atol=0.05)
    np.testing.assert_allclose((near.mean(), near.std()), (5, 0.3), atol=0.02)
