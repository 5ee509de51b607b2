"""What a run leaves behind: made from its seeds alone, whoever answered them, and whenever."""

import dataclasses
import json

import pytest
from reporting import whole, write_run

from uncle_jax.errors import UncleError
from uncle_jax.evaluation.answers import Answer
from uncle_jax.report.compare import groups
from uncle_jax.report.results import modern, read_run
from uncle_jax.requests import parse
from uncle_jax.runs import workdir as workdirs
from uncle_jax.runs.workdir import SeedLog, finish, prepare

REQUESTS = parse("L0 L1 U0")
TOLD = {"dataset": "permuted-digits", "preset": "laptop", "requests": "L0 L1 U0", "remarks": []}
TOLD |= {"method": "uncle", "config": {"width": 0.1}, "reads": "none", "chance": 10.0}


def told(seed, **more):
    return (
        TOLD | {"seed": seed, "fingerprint": f"print{seed}", "data": {"class_order": [seed]}} | more
    )


def answers(ra=90.0):
    seen = ({0: ra}, {0: ra, 1: ra}, {0: 12.0, 1: ra})
    return [
        Answer(i, request, accuracy, seconds=2.0 + i, compile_seconds=1.0)
        for i, (request, accuracy) in enumerate(zip(REQUESTS, seen, strict=True))
    ]


def answer_seed(workdir, seed, ra=90.0, n=3):
    prepare(workdir, {seed: told(seed)}, overwrite=False)
    workdirs.write_config(workdir, seed, told(seed), {}, None)
    log = SeedLog(workdir, seed, "test")
    for answer in answers(ra)[:n]:
        log.add(answer)


def times(workdir, seed):
    return json.loads((workdir / f"seed{seed}" / "times.json").read_text())


def test_seeds_of_two_days_are_one_summary(tmp_path):
    answer_seed(tmp_path, 1, ra=92)
    first = finish(tmp_path, told(1), "title")
    assert first["RA"] == {"mean": 92, "std": 0, "per_seed": {"1": 92}}
    answer_seed(tmp_path, 0, ra=90)
    summary = finish(tmp_path, told(0), "title")
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert summary["RA"]["per_seed"] == {"0": 90, "1": 92}
    assert summary["RA"]["mean"] == 91
    assert summary["RA"]["std"] == pytest.approx(2**0.5)
    assert (summary["learn_seconds"], summary["unlearn_seconds"]) == (2.5, 4)
    assert summary["compile_seconds"] == 6
    walls = [times(tmp_path, seed)["wall_seconds"] for seed in (0, 1)]
    assert summary["wall_seconds"] == pytest.approx(sum(walls))
    assert summary["chance"] == {"RA": 10, "FA": 10}
    assert (summary["remarks"], summary["reads"]) == ([], "none")
    assert (tmp_path / "accuracy.png").read_bytes().startswith(b"\x89PNG")
    (group,) = groups(read_run(tmp_path)[0])
    assert [row.seeds for row in group.rows] == ["0 1"]
    names = {"seed0", "seed1", "summary.json", "accuracy.png"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_the_summary_can_be_made_again(tmp_path):
    answer_seed(tmp_path, 0)
    answer_seed(tmp_path, 1)
    summary = finish(tmp_path, told(0), "title")
    (tmp_path / "summary.json").unlink()
    assert [run.seed for run in read_run(tmp_path)[0]] == [0, 1]
    assert finish(tmp_path, told(1), "title") == summary


def test_an_unfinished_seed_is_left_out(tmp_path):
    answer_seed(tmp_path, 0)
    answer_seed(tmp_path, 1, n=2)
    assert set(finish(tmp_path, told(0), "title")["RA"]["per_seed"]) == {"0"}
    assert read_run(tmp_path)[1] == [f"{tmp_path / 'seed1'} is not finished"]


def test_a_seed_that_ends_while_the_summary_is_written_is_in_it(tmp_path, monkeypatch):
    answer_seed(tmp_path, 0)
    draw, drawn = workdirs.plot_accuracy, []

    def slow(*args):
        draw(*args)
        drawn.append(args)
        if len(drawn) == 1:  # another process ends now, and its summary is written over
            answer_seed(tmp_path, 1)

    monkeypatch.setattr(workdirs, "plot_accuracy", slow)
    assert set(finish(tmp_path, told(0), "title")["RA"]["per_seed"]) == {"0", "1"}
    assert len(drawn) == 2


def test_times_go_on_after_a_kill_and_stay_when_nothing_is_answered(tmp_path):
    answer_seed(tmp_path, 0, n=2)
    path = tmp_path / "seed0" / "times.json"
    path.write_text(json.dumps(times(tmp_path, 0) | {"wall_seconds": 100.0}))
    log = SeedLog(tmp_path, 0, "test")
    log.known(answers()[:2])
    assert times(tmp_path, 0)["wall_seconds"] == 100
    log.add(answers()[2])
    done = times(tmp_path, 0)
    assert 100 < done["wall_seconds"] < 200
    assert (done["learn_seconds"], done["unlearn_seconds"]) == ([2, 3], [4])
    again = SeedLog(tmp_path, 0, "test")
    again.known(answers())
    assert times(tmp_path, 0) == done


def test_a_seed_of_before_times_json_keeps_its_share_of_the_times(tmp_path):
    write_run(tmp_path, seeds=(0, 4), summary={"learn_seconds": 7.0, "compile_seconds": 6.0})
    settings = modern(json.loads((tmp_path / "seed0" / "config.json").read_text()))
    (tmp_path / "seed5").mkdir()
    workdirs.write_config(tmp_path, 5, settings | {"seed": 5}, {}, None)
    log = SeedLog(tmp_path, 5, "test")
    for i, request in enumerate(parse("L0 L1 U0 L2")):
        seen = {task: 50.0 for _, task, _ in parse("L0 L1 U0 L2")[: i + 1]}
        log.add(Answer(i, request, seen, seconds=2.0, compile_seconds=1.0))
    summary = finish(tmp_path, settings, "title")
    assert set(summary["RA"]["per_seed"]) == {"0", "4", "5"}
    assert summary["compile_seconds"] == 6 + 4
    assert summary["unlearn_seconds"] == 2
    assert times(tmp_path, 4)["wall_seconds"] == 60
    assert summary["wall_seconds"] == pytest.approx(120 + times(tmp_path, 5)["wall_seconds"])
    assert summary["chance"] == {"RA": 10, "FA": 10}
    (group,) = groups(read_run(tmp_path)[0])
    assert [row.seeds for row in group.rows] == ["0 4 5"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"config": {"width": 1.0}}, "width 0.1, now 1.0"),
        ({"method": "scrub"}, "method uncle, now scrub"),
        ({"settings": {"alpha": 3}}, "alpha None, now 3"),
        ({"data": {"sha256": "ab"}}, "data: sha256 None, now ab"),
        ({"code": {"file": "own.py", "sha256": "ab"}}, "the code of uncle is another now"),
    ],
)
def test_another_setting_is_refused_even_for_another_seed(tmp_path, change, says):
    answer_seed(tmp_path, 0)
    with pytest.raises(UncleError, match=says):
        prepare(tmp_path, {1: told(1, **change)}, overwrite=False)
    assert not (tmp_path / "seed1").exists()
    prepare(tmp_path, {1: told(1, **change)}, overwrite=True)


def test_seeds_of_another_setting_are_not_in_the_summary(tmp_path):
    answer_seed(tmp_path, 0)
    other = told(1, method="scrub")
    prepare(tmp_path, {1: other}, overwrite=True)
    workdirs.write_config(tmp_path, 1, other, {}, None)
    log = SeedLog(tmp_path, 1, "test")
    for answer in answers():
        log.add(answer)
    assert set(finish(tmp_path, other, "title")["RA"]["per_seed"]) == {"1"}


def test_clear_leaves_no_result(tmp_path):
    answer_seed(tmp_path, 0)
    workdirs.clear(tmp_path, 0)
    assert [path.name for path in (tmp_path / "seed0").iterdir()] == ["config.json"]
    workdirs.clear(tmp_path, 0)


def test_a_network_that_answers_nan_is_marked_in_the_summary(tmp_path):
    answer_seed(tmp_path, 3, ra=float("nan"))
    summary = finish(tmp_path, told(3), "title")
    assert summary["RA"] == {"mean": None, "std": 0, "per_seed": {"3": None}}
    assert summary["remarks"] == ["answers are not finite (NaN or infinite) in seeds 3"]
    assert (tmp_path / "accuracy.png").exists()


def test_who_goes_on_adds_a_part_and_changes_nothing_else(tmp_path):
    prepare(tmp_path, {0: told(0)}, overwrite=False)
    for device, done in (("cpu", None), ("gpu", 1), ("tpu", 2)):
        workdirs.write_config(tmp_path, 0, told(0), {"device": device}, done)
    config = json.loads((tmp_path / "seed0/config.json").read_text())
    assert config.pop("parts") == [
        {"after_requests": 1, "device": "gpu"},
        {"after_requests": 2, "device": "tpu"},
    ]
    assert config == told(0) | {"device": "cpu"}
    workdirs.write_config(tmp_path, 0, told(0), {"device": "cpu"}, None)  # begun anew
    assert "parts" not in json.loads((tmp_path / "seed0/config.json").read_text())


def test_a_finished_seed_is_known_by_its_files(tmp_path):
    answer_seed(tmp_path, 0)
    run = workdirs.finished(tmp_path, 0, told(0))
    assert run
    again = list(workdirs.answers_of(run))
    assert [(a.index, a.request, a.accuracy, a.seconds) for a in again] == [
        (a.index, a.request, a.accuracy, a.seconds) for a in answers()
    ]
    assert workdirs.finished(tmp_path, 0, told(0, fingerprint="another")) is None
    assert workdirs.finished(tmp_path, 1, told(1)) is None
    answer_seed(tmp_path, 1, n=2)
    assert workdirs.finished(tmp_path, 1, told(1)) is None
    (tmp_path / "seed0/metrics.csv").write_text("damaged")
    assert workdirs.finished(tmp_path, 0, told(0)) is None  # its store knows


def test_nothing_new_leaves_the_folder_as_it_is(tmp_path):
    answer_seed(tmp_path, 0)
    summary = finish(tmp_path, told(0), "title")
    (tmp_path / "accuracy.png").write_bytes(b"of another version")
    before = whole(tmp_path)
    prepare(tmp_path, {0: told(0)}, overwrite=False, new=False)
    assert finish(tmp_path, told(0), "title", new=False) == summary
    assert whole(tmp_path) == before
    answer_seed(tmp_path, 1)  # another process has finished since
    assert set(finish(tmp_path, told(0), "title", new=False)["RA"]["per_seed"]) == {"0", "1"}
    assert (tmp_path / "accuracy.png").read_bytes() != b"of another version"


def test_what_else_was_measured_is_in_metrics_csv_and_comes_back(tmp_path):
    prepare(tmp_path, {0: told(0)}, overwrite=False)
    workdirs.write_config(tmp_path, 0, told(0), {}, None)
    log = SeedLog(tmp_path, 0, "test")
    measured = [
        {"before": 11.0, "guess": 10.0, "kept_bytes": 123456789.0},
        {"before": 15.5, "guess": 10.0, "kept_bytes": 123456789.0},
        {"UNI": float("-inf"), "read_bytes": 0.0, "kept_bytes": 2e6},
    ]
    for answer, more in zip(answers(), measured, strict=True):
        log.add(dataclasses.replace(answer, measured=more))
    summary = finish(tmp_path, told(0), "title")
    (run,), _ = read_run(tmp_path)
    assert list(run.measured) == measured
    assert [answer.measured for answer in workdirs.answers_of(run)] == measured
    assert summary["FWT"]["mean"] == 5.5
    assert summary["MB_kept"]["mean"] == 2
    assert summary["UNI"] == {"mean": None, "std": 0, "per_seed": {"0": None}}
    assert (summary["unlearn_seconds"], summary["unlearn_seconds_mean"]) == (4, 4)
    assert (summary["learn_seconds"], summary["learn_seconds_mean"]) == (2.5, 2.5)
