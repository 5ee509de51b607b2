"""Algorithm 1, one request at a time: what learning and unlearning do to CLState."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import HYPER, TINY, Small, blobs, same

from uncle_jax.core import hypernet, objectives, resnet
from uncle_jax.core.status import LEARNED, UNLEARNED, describe
from uncle_jax.engine.sequence import run_sequence
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.accuracy import evaluate
from uncle_jax.methods.uncle import burn_in_iterations, only_learning, unlearning_rates
from uncle_jax.methods.uncle import uncle as uncle_of
from uncle_jax.requests import parse


def uncle(spec, n_tasks, main_net=None, epochs=TINY.epochs, **settings):
    """UnCLe on a main network that compiles fast, unless a test asks for another."""
    config, own = replace(TINY, epochs=epochs), replace(HYPER, **settings)
    return uncle_of(spec, n_tasks, config, main_net or Small(), own)


@pytest.fixture(scope="module")
def method(spec):
    return uncle(spec, 4)


@pytest.fixture(scope="module")
def two_learned(method):
    state = method.init(jax.random.key(0))
    return method.learn(method.learn(state, 0, blobs(0)), 2, blobs(4))


def test_learning_touches_only_what_it_may(method, two_learned):
    after = method.learn(two_learned, 1, blobs(2))
    assert describe(after) == {"learned": [0, 1, 2], "unlearned": []}
    kept = jnp.array([0, 2, 3])
    np.testing.assert_array_equal(after.task_emb[kept], two_learned.task_emb[kept])
    for now, then in zip(
        jax.tree.leaves(after.norm_stats), jax.tree.leaves(two_learned.norm_stats), strict=True
    ):
        np.testing.assert_array_equal(now[kept], then[kept])
        assert not np.array_equal(now[1], then[1])
    assert not np.array_equal(after.task_emb[1], two_learned.task_emb[1])
    assert same(after.phi, after.phi_star)
    assert not same(after.phi, two_learned.phi)
    assert int(after.n_requests) == 3


def test_chunk_embeddings_train_in_the_first_request_only(method):
    fresh = method.init(jax.random.key(0))
    first = method.learn(fresh, 0, blobs(0))
    second = method.learn(first, 1, blobs(2))
    assert not np.array_equal(fresh.chunk_emb, first.chunk_emb)
    np.testing.assert_array_equal(first.chunk_emb, second.chunk_emb)


def test_unlearning_erases_statistics_and_refreshes_the_snapshot(method, two_learned, spec):
    after = method.unlearn(two_learned, 0)
    assert after.status.tolist() == [UNLEARNED, 0, LEARNED, 0]
    fresh = resnet.plan(Small(), spec.image_shape, HYPER.chunks)[1]
    for now, one in zip(jax.tree.leaves(after.norm_stats), jax.tree.leaves(fresh), strict=True):
        np.testing.assert_array_equal(now[0], one)
    assert same(after.phi, after.phi_star)  # nothing of the phi that generated the task is left
    assert not same(after.phi, two_learned.phi)
    np.testing.assert_array_equal(after.task_emb, two_learned.task_emb)  # the paper keeps e_f
    assert int(after.n_unlearned) == 1


def test_unlearning_pulls_the_forgotten_network_to_noise_and_holds_the_other(spec):
    """The distance to noise (Equation 3) falls by far more than the retained network moves."""
    method = uncle(spec, 4, burn_in=100, gamma=0.1)
    state = method.init(jax.random.key(0))
    state = method.learn(method.learn(state, 0, blobs(0)), 2, blobs(4))
    after = method.unlearn(state, 0)

    def theta(state, task):
        out = hypernet.outputs(state.phi, state.task_emb[task], state.chunk_emb)
        return np.concatenate([np.ravel(a) for a in out.values()])

    assert np.sum(theta(after, 0) ** 2) < 0.7 * np.sum(theta(state, 0) ** 2)
    moved = [np.linalg.norm(theta(after, t) - theta(state, t)) for t in (0, 2)]
    assert moved[1] < 0.5 * moved[0]


def test_the_embedding_of_an_unlearned_task_can_be_dropped(spec, two_learned):
    redraw = uncle(spec, 4, embedding_after="redraw")
    after = redraw.unlearn(two_learned, 0)
    assert not np.array_equal(after.task_emb[0], two_learned.task_emb[0])
    np.testing.assert_array_equal(after.task_emb[1:], two_learned.task_emb[1:])


def test_discard_changes_the_embedding_and_nothing_else(spec, two_learned):
    after = uncle(spec, 4, noise="discard").unlearn(two_learned, 0)
    assert same(after.phi, two_learned.phi)
    assert not np.array_equal(after.task_emb[0], two_learned.task_emb[0])
    assert after.status.tolist()[0] == UNLEARNED


@pytest.mark.parametrize("noise", ["fixed", "norm"])
def test_other_noises_leave_a_finite_state(spec, two_learned, noise):
    after = uncle(spec, 4, noise=noise).unlearn(two_learned, 0)
    assert all(bool(jnp.all(jnp.isfinite(a))) for a in jax.tree.leaves(after.phi))
    assert not same(after.phi, two_learned.phi)


def test_fixed_noise_is_the_same_for_every_request(method, two_learned):
    after = method.unlearn(two_learned, 0)
    again = method.unlearn(after, 2)
    keys = [jax.random.key_data(s.noise_key).tolist() for s in (two_learned, after, again)]
    assert keys[0] == keys[1] == keys[2]
    assert jax.random.key_data(after.key).tolist() != jax.random.key_data(again.key).tolist()


def test_unlearning_the_only_learned_task_has_no_zero_by_zero(method):
    state = method.learn(method.init(jax.random.key(0)), 3, blobs(0))
    losses = []
    after = method.unlearn(state, 3, on_step=lambda step, steps, loss: losses.append(float(loss)))
    assert len(losses) == HYPER.burn_in
    assert np.all(np.isfinite(losses))
    assert all(bool(jnp.all(jnp.isfinite(a))) for a in jax.tree.leaves(after.phi))
    assert describe(after) == {"learned": [], "unlearned": [3]}


def test_a_task_can_be_learned_again_after_it_was_unlearned(spec):
    method = uncle(spec, 4, epochs=10, burn_in=100, gamma=1.0, unlearn_lr=1e-2)
    state = method.learn(method.init(jax.random.key(0)), 1, blobs(2, 96))
    before = evaluate(method, state, 1, blobs(3))
    state = method.unlearn(state, 1)
    forgotten = evaluate(method, state, 1, blobs(3))
    state = method.learn(state, 1, blobs(2, 96))
    again = evaluate(method, state, 1, blobs(3))
    assert before > 85
    assert forgotten < before - 25
    assert again > 85
    assert describe(state) == {"learned": [1], "unlearned": []}


def test_states_passed_in_stay_usable(method, two_learned):
    """Steps donate their carry; the caller's state must not be what they donate."""
    method.unlearn(two_learned, 0)
    method.learn(two_learned, 1, blobs(2))
    assert all(not leaf.is_deleted() for leaf in jax.tree.leaves(two_learned))
    assert evaluate(method, two_learned, 0, blobs(1)) >= 0


def test_the_same_key_gives_the_same_bits(method):
    states = [method.learn(method.init(jax.random.key(7)), 0, blobs(0)) for _ in range(2)]
    assert same(states[0].phi, states[1].phi)


def test_one_trace_of_each_step_for_a_whole_sequence(spec, blob_benchmark, monkeypatch):
    traces = {"drift_of_outputs": 0, "task_loss": 0, "noise_alignment": 0}
    for name in traces:
        original = getattr(objectives, name)

        def counted(*args, _name=name, _original=original, **kwargs):
            traces[_name] += 1
            return _original(*args, **kwargs)

        monkeypatch.setattr(objectives, name, counted)
    method = uncle(spec, 4, chunks=6)
    run_sequence(method, blob_benchmark, parse("L0 L1 U0 L2 L3 U1 L0 U2"), jax.random.key(0))
    # drift: once for each number of retained tasks (0, 1, 2), for learning and unlearning together
    assert traces == {"drift_of_outputs": 3, "task_loss": 1, "noise_alignment": 1}


def test_a_main_network_may_have_no_norm_statistics(spec):
    method = uncle(spec, 2, Small(normed=False), epochs=10)
    state = method.learn(method.init(jax.random.key(0)), 0, blobs(0, 96))
    assert state.norm_stats == {}
    assert evaluate(method, state, 0, blobs(1)) > 85
    assert describe(method.unlearn(state, 0))["unlearned"] == [0]


def test_logits_do_not_depend_on_what_else_is_asked(method, two_learned):
    images = blobs(1, 40).images
    together = method.logits(two_learned, 0, images)
    assert together.shape == (40, 3)
    for i in (0, 17, 39):
        np.testing.assert_allclose(
            method.logits(two_learned, 0, images[i : i + 1])[0], together[i], rtol=1e-4, atol=1e-5
        )
    assert method.logits(two_learned, 0, images[:0]).shape == (0, 3)


@pytest.mark.parametrize("parametrisation", ["hyperfan", "gain"])
@pytest.mark.parametrize("space", ["generated", "theta"])
def test_each_parametrisation_learns_and_unlearns(spec, parametrisation, space):
    method = uncle(spec, 2, epochs=15, parametrisation=parametrisation, output_space=space)
    state = method.learn(method.init(jax.random.key(0)), 0, blobs(0, 96))
    assert evaluate(method, state, 0, blobs(1)) > 85
    assert all(
        bool(jnp.all(jnp.isfinite(a))) for a in jax.tree.leaves(method.unlearn(state, 0).phi)
    )


def test_a_resnet_learns_forgets_and_keeps(spec, blob_benchmark):
    """The whole way with the thin ResNet: one task kept, one forgotten."""
    settings = replace(HYPER, burn_in=60, unlearn_lr=3e-4)
    method = uncle_of(spec, 4, replace(TINY, epochs=15), settings=settings)
    run = run_sequence(method, blob_benchmark, parse("L0 L1 U0"), jax.random.key(0))
    learned, final = run.answers[1].accuracy, run.answers[2].accuracy
    assert min(learned.values()) > 85
    assert final[1] > 80
    assert final[0] < 60


def test_annealing_follows_the_paper():
    settings = replace(HYPER, burn_in=100, burn_in_floor=20)
    counts = [burn_in_iterations(settings, n) for n in range(16)]
    assert counts == [100, 90, 81, 72, 64, 57, 51, 45, 40, 36, 32, 28, 25, 22, 20, 20]
    assert burn_in_iterations(replace(settings, burn_in_decay=1.0), 9) == 100
    assert burn_in_iterations(replace(settings, burn_in=5), 9) == 5


@pytest.mark.parametrize(
    ("op", "task", "message"),
    [
        ("learn", 9, "unknown task 9 .allowed: 0 to 3"),
        ("learn", -1, "unknown task -1"),
        ("learn", True, "unknown task True"),
        ("unlearn", "0", "unknown task '0'"),
        ("unlearn", 0.0, "unknown task 0.0"),
        ("learn", 0, "already learned"),
        ("unlearn", 1, "task 1 is not learned"),
        ("logits", 4, "unknown task 4"),
    ],
)
def test_impossible_requests_are_refused(method, two_learned, op, task, message):
    ask = {
        "learn": lambda: method.learn(two_learned, task, blobs(0)),
        "unlearn": lambda: method.unlearn(two_learned, task),
        "logits": lambda: method.logits(two_learned, task, blobs(0).images),
    }[op]
    with pytest.raises(UncleError, match=message):
        ask()


def test_only_learning_ignores_unlearning(spec, blob_benchmark):
    method = only_learning(spec, 4, TINY, Small(), HYPER)
    run = run_sequence(method, blob_benchmark, parse("L0 L1 U0"), jax.random.key(0))
    assert run.answers[2].accuracy == run.answers[1].accuracy
    assert run.metrics["spill"] == 0


@pytest.mark.parametrize("way", ["relearn", "own"])
def test_only_learning_still_has_what_it_is_to_learn_again(spec, blob_benchmark, way):
    method = only_learning(spec, 4, replace(TINY, class_unlearning=way), Small(), HYPER)
    key = jax.random.key(0)
    run = run_sequence(method, blob_benchmark, parse("L0 L1 U0 L0 U1:2"), key)
    assert run.answers[3].accuracy == run.answers[1].accuracy
    once = run_sequence(method, blob_benchmark, parse("L0 L1"), key)
    assert same(run.state.phi, once.state.phi)


def test_a_burn_ins_rate_is_constant_or_falls_to_nothing():
    constant, cosine = (
        unlearning_rates(replace(HYPER, unlearn_lr=0.1, unlearn_schedule=name), 4)
        for name in ("constant", "cosine")
    )
    assert constant == [0.1] * 4
    assert cosine == pytest.approx([0.1, 0.0853553, 0.05, 0.0146447], abs=1e-6)
