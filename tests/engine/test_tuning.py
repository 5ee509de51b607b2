"""A sweep learns once and unlearns under each setting, on validation data alone."""

import jax
import pytest
from conftest import HYPER, TINY, Heads, Small, blobs

from uncle_jax.data.benchmark import Benchmark
from uncle_jax.engine import sequence as engine
from uncle_jax.engine import tuning
from uncle_jax.errors import UncleError
from uncle_jax.methods.registry import build
from uncle_jax.requests import parse

KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def benchmark():
    return Benchmark.from_arrays(
        [{"train": blobs(seed, 60), "test": blobs(seed, 20)} for seed in range(4)]
    )


def test_points_are_the_settings_as_they_are_and_all_combinations():
    grid = {"scrub.lr": ["1e-4", "1e-3"], "epochs": ["1", "3"]}
    found = tuning.points("scrub", TINY, {"msteps": "1"}, grid)
    assert [(p.settings.lr, p.config.epochs) for p in found] == [
        (5e-4, 2), (1e-4, 1), (1e-4, 3), (1e-3, 1), (1e-3, 3),
    ]  # fmt: skip
    assert all(p.settings.msteps == 1 for p in found)
    assert tuning.points("uncle", TINY, {}, {}, HYPER) == [tuning.Point("uncle", {}, TINY, HYPER)]
    with pytest.raises(UncleError, match="gama"):
        tuning.points("uncle", TINY, {}, {"uncle.gama": ["1"]})


def test_what_learns_alike():
    def part(name, **grid):
        return tuning.learning_of(
            tuning.points(name, TINY, {}, {k.replace("__", "."): [v] for k, v in grid.items()})[-1]
        )

    assert part("scrub") == part("scrub", scrub__lr="1") == part("ssd")
    assert part("scrub") != part("scrub", scrub__buffer_per_task="3")
    assert part("scrub") != part("scrub", epochs="3")
    assert part("uncle") == part("uncle", uncle__burn_in="3", uncle__noise="norm") == part("hnet")
    assert part("uncle") != part("uncle", uncle__beta="1")
    inherits = part("refit", refit__inherit="true")
    assert inherits == part("refit", refit__inherit="true", refit__refit_steps="3") == part("hnet")
    assert inherits != part("refit") != part("refit", refit__refit_steps="3")


@pytest.mark.parametrize(
    ("name", "grid"), [("ssd", {"ssd.alpha": ["0.1"]}), ("uncle", {"uncle.gamma": ["3"]})]
)
def test_a_trial_is_what_a_run_of_its_settings_ends_in(benchmark, name, grid):
    """And the shared state is learned once, untouched by the trials before."""
    net = Heads() if name == "ssd" else Small()
    requests = parse("L0 L1 L2 U1")
    points = tuning.points(name, TINY, {}, grid, HYPER)
    counted = []
    real = engine.run_sequence

    def counting(*args, done=None, **more):
        counted.append(done is None)
        return real(*args, done=done, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tuning, "run_sequence", counting)
        trials = list(tuning.sweep(points, benchmark.held_out(7), requests, KEY, net))
    assert counted == [True, False, False]
    for trial in trials:
        point = trial.point
        method = build(name, benchmark.spec, 4, point.config, point.settings, net)
        run = real(method, benchmark.held_out(7), requests, KEY)
        assert pytest.approx(run.metrics["RA"]) == trial.RA
        assert pytest.approx(run.metrics["FA"]) == trial.FA
        assert trial.spill == pytest.approx(run.metrics["spill"])
        before = run.answers[1].measured["before"]
        assert trial.distance == pytest.approx(abs(trial.FA - before))
        assert trial.score == pytest.approx(trial.RA - trial.distance - trial.spill)


def test_unlearnings_after_the_first_are_part_of_each_trial(benchmark):
    """A task that is learned again counts as what it was before it was ever learned."""
    points = tuning.points("ssd", TINY, {}, {}, HYPER)
    requests = parse("L0 L1 L2 U1 L1 U0 U1")
    (trial,) = tuning.sweep(points, benchmark.held_out(7), requests, KEY, Heads())
    method = build("ssd", benchmark.spec, 4, TINY, points[0].settings, Heads())
    run = engine.run_sequence(method, benchmark.held_out(7), requests, KEY)
    firsts = {task: run.answers[task].measured["before"] for task in (0, 1)}
    ends = run.answers[-1].accuracy
    gaps = [abs(ends[task] - firsts[task]) for task in (0, 1)]
    assert trial.distance == pytest.approx(sum(gaps) / 2)
    assert trial.spill == pytest.approx(run.metrics["spill"])


def test_where_nothing_is_unlearned_the_score_is_RA(benchmark):
    points = tuning.points("clpu", TINY, {}, {"epochs": ["1"]})
    trials = list(tuning.sweep(points, benchmark.held_out(7), parse("L0 L1"), KEY, Small()))
    assert [trial.point.config.epochs for trial in trials] == [2, 1]
    assert all(trial.score == trial.RA > 0 and trial.seconds > 0 for trial in trials)


def test_something_must_stay(benchmark):
    with pytest.raises(UncleError, match="no task is retained"):
        list(tuning.sweep([], benchmark, parse("L0 U0"), KEY))


def test_a_network_in_ruins_is_never_best():
    ruined = tuning.Trial(tuning.Point("uncle", {}, TINY, None), float("nan"), 10.0, 0.0, 0.0, 1.0)
    assert ruined.score == -float("inf")
