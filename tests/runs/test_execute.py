"""A run's spec executed, in this process: by a method that compiles nothing."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from reporting import whole

from uncle_jax.config import Config
from uncle_jax.errors import UncleError
from uncle_jax.requests import parse
from uncle_jax.runs.execute import Keeping, Watch, execute, load, sizes
from uncle_jax.runs.spec import RunSpec

OWN = Path(__file__).resolve().parents[2] / "experiments" / "own_method.py"
SPEC = RunSpec(
    "permuted-digits", method=f"{OWN}:nearest_mean", requests=parse("L0 L1 U0"), seeds=(0, 3)
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """(work directory, what `execute` returned, the seeds and answers it told of)."""
    workdir, seeds, answers = tmp_path_factory.mktemp("execute") / "w", [], []
    watch = Watch(lambda seed, notes: seeds.append((seed, notes)), on_request=answers.append)
    return workdir, execute(SPEC, workdir, watch), seeds, answers


def ledgers(workdir):
    return [path.read_bytes() for path in sorted(workdir.glob("seed*/store/ledger.jsonl"))]


def test_the_summary_is_what_is_written(finished):
    workdir, summary, *_ = finished
    assert json.loads((workdir / "summary.json").read_text()) == summary
    assert set(summary["RA"]["per_seed"]) == {"0", "3"}
    assert summary["RA"]["mean"] > 80  # pixels' class means tell digits apart
    assert (summary["reads"], summary["chance"]) == ("none", {"RA": 10, "FA": 10})
    left = {path.name for path in workdir.iterdir()}
    assert left == {"seed0", "seed3", "summary.json", "accuracy.png"}


def test_each_request_of_each_seed_is_told(finished):
    _, summary, seeds, answers = finished
    assert seeds == [(0, []), (3, [])]
    assert [str(answer.request) for answer in answers] == ["L0", "L1", "U0"] * 2
    assert [sorted(answer.accuracy) for answer in answers] == [[0], [0, 1], [0, 1]] * 2
    assert answers[-1].accuracy[1] == pytest.approx(summary["RA"]["per_seed"]["3"], abs=1e-3)


def test_a_second_time_nothing_is_answered_again(finished):
    workdir, summary, _, answers = finished
    before, told = ledgers(workdir), []
    assert len(before) == 2
    again = execute(SPEC, workdir, Watch(on_request=told.append))
    assert again == summary
    assert [(a.index, a.request) for a in told] == [(a.index, a.request) for a in answers]
    for now, then in zip(told, answers, strict=True):  # metrics.csv has four digits
        assert now.accuracy == pytest.approx(then.accuracy, abs=1e-4)
    assert ledgers(workdir) == before


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"config": dataclasses.replace(SPEC.config, batch_size=9)}, "batch_size 128, now 9"),
        ({"requests": parse("L0 U0"), "seeds": (3,)}, "requests L0 L1 U0, now L0 U0"),
        ({"method": "clpu", "seeds": (5,)}, "method .*nearest_mean, now clpu"),
    ],
)
def test_another_run_is_refused_in_the_same_place(finished, change, told):
    workdir, before = finished[0], ledgers(finished[0])
    with pytest.raises(UncleError, match=told):
        execute(dataclasses.replace(SPEC, **change), workdir)
    assert ledgers(workdir) == before
    assert not (workdir / "seed5").exists()


def test_another_run_takes_the_place_where_that_is_asked_for(finished, tmp_path):
    spec = dataclasses.replace(SPEC, seeds=(3,))
    first = execute(spec, tmp_path / "w")
    assert first["RA"]["per_seed"] == {"3": finished[1]["RA"]["per_seed"]["3"]}
    other = dataclasses.replace(spec, requests=parse("L0 L1 L2 U1"))
    told = []
    summary = execute(other, tmp_path / "w", Watch(on_request=told.append), Keeping(overwrite=True))
    assert [sorted(answer.accuracy) for answer in told] == [[0], [0, 1], [0, 1, 2], [0, 1, 2]]
    assert set(summary["RA"]["per_seed"]) == {"3"}
    config = json.loads((tmp_path / "w/seed3/config.json").read_text())
    assert config["requests"] == "L0 L1 L2 U1"


def test_history_is_kept_where_that_is_asked_for(tmp_path):
    spec = dataclasses.replace(SPEC, seeds=(0,))
    execute(spec, tmp_path / "w", keep=Keeping(history=True))
    kept = (tmp_path / "w/seed0/store/checkpoints").glob("*.json")
    assert sorted(path.stem for path in kept) == ["0", "1", "2", "3"]


def test_loading_checks_the_requests_and_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UncleError, match=r"unknown task 99 \(allowed: 0 to 9\)"):
        load(dataclasses.replace(SPEC, requests=parse("L0 L99")))
    asked = load(SPEC)
    assert asked.benchmarks.keys() == asked.records.keys() == {0, 3}
    assert asked.first is asked.benchmarks[0]
    assert asked.records[0]["fingerprint"] != asked.records[3]["fingerprint"]
    assert asked.records[3]["requests"] == "L0 L1 U0"
    assert list(tmp_path.iterdir()) == []


def test_validation_data_stand_in_for_test_data_where_asked_for():
    config = dataclasses.replace(SPEC.config, eval_split="validation")
    held, usual = load(dataclasses.replace(SPEC, config=config)), load(SPEC)
    rest, whole = (len(one.first.load(0, "train").labels) for one in (held, usual))
    assert 0 < rest < whole == rest + len(held.first.load(0, "test").labels)


def test_ones_own_data_are_learned_task_by_task_unless_asked_otherwise(tmp_path, monkeypatch):
    from uncle_jax.runs import execute as module

    digits = load(SPEC).first
    monkeypatch.setattr(module, "load_benchmark", lambda *_: digits)
    asked = load(RunSpec(f"npz:{tmp_path}", method="clpu"))
    assert " ".join(map(str, asked.spec.requests)) == "L0 L1 L2 L3 L4 L5 L6 L7 L8 L9 U0"


def test_sizes_are_those_of_the_main_network_and_of_what_is_learned():
    thin = Config(backbone="thin", stem="small", width=4, image_size=None)
    main = sizes(load(RunSpec(config=thin)))
    assert main.keys() == {"main_network_parameters", "phi_parameters"}
    heads = sizes(load(RunSpec(method="derpp", config=thin)))
    assert heads["main_network_parameters"] == main["main_network_parameters"]
    assert heads["parameters"] > heads["main_network_parameters"]  # it has a head for each task
    assert sizes(load(SPEC)).keys() == {"main_network_parameters"}  # its means are no network


def test_looking_at_a_finished_run_changes_no_byte_and_needs_no_store(finished, tmp_path):
    shutil.copytree(finished[0], tmp_path / "w")
    path = tmp_path / "w/seed0/config.json"
    path.write_text(path.read_text().replace('"commit"', '"device": "elsewhere", "commit"'))
    (tmp_path / "w/accuracy.png").write_bytes(b"of another version")
    shutil.rmtree(tmp_path / "w/seed0/store")
    before = whole(tmp_path / "w")
    assert execute(SPEC, tmp_path / "w") == finished[1]
    assert whole(tmp_path / "w") == before


def test_who_made_a_run_stands_in_it_and_who_went_on_beside_it(tmp_path, monkeypatch):
    spec = dataclasses.replace(SPEC, seeds=(0,))

    def stop(answer):
        raise KeyboardInterrupt

    monkeypatch.setenv("XLA_FLAGS", "--xla_first=1")
    with pytest.raises(KeyboardInterrupt):
        execute(spec, tmp_path / "w", Watch(on_request=stop))
    monkeypatch.setenv("XLA_FLAGS", "--xla_second=1")
    execute(spec, tmp_path / "w")
    config = json.loads((tmp_path / "w/seed0/config.json").read_text())
    assert config["xla_flags"] == "--xla_first=1"
    (part,) = config["parts"]
    assert (part["after_requests"], part["xla_flags"]) == (1, "--xla_second=1")
    assert {"started", "argv", "versions", "device", "commit", "x64"} <= part.keys()
    assert {"started", "argv", "versions", "device", "commit", "x64"} <= config.keys()


def test_edited_code_of_ones_own_is_another_run(tmp_path):
    path = tmp_path / "own.py"
    path.write_text(OWN.read_text())
    spec = dataclasses.replace(SPEC, method=f"{path}:nearest_mean", seeds=(0,))
    execute(spec, tmp_path / "w")
    path.write_text(OWN.read_text() + "\n# another\n")
    for seeds in ((0,), (1,)):
        with pytest.raises(UncleError, match=r"the code of .*nearest_mean is another now"):
            execute(dataclasses.replace(spec, seeds=seeds), tmp_path / "w")
