"""What a store is asked without changing it, as lines and as JSON."""

import json
from argparse import Namespace

import numpy as np
import pytest
from conftest import blobs

from uncle_jax.cli import look, request
from uncle_jax.evaluation.audit.store import Measurement, Report

QUICK = ["epochs=1", "batch_size=16", "width=4", "trunk=8,16", "embedding=4", "chunks=7"]
QUICK += ["burn_in=3", "norm_calibration=0", "eval_batch_size=16"]
INIT = ["init", "--tasks", "4", "--image-shape", "6", "6", "1", "--classes", "3"]
INIT += [word for setting in QUICK for word in ("--set", setting)]


@pytest.fixture
def call(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()

    def call(*words):
        status = request.main(["--store", "store", *words])
        return status, *capsys.readouterr()

    return call


def asked(call, *words):
    """The object that `words` print with --json, and what they print without."""
    status, out, _ = call(*words, "--json")
    assert (status, call(*words)[0]) == (0, 0)
    return json.loads(out), call(*words)[1]


def test_lines_and_json_say_the_same(call, tmp_path):
    for name, seed in (("train", 1), ("test", 2)):
        np.savez(tmp_path / f"{name}.npz", x=blobs(seed, 32).images, y=blobs(seed, 32).labels)
    assert call(*INIT)[0] == 0
    assert asked(call, "history") == ({"requests": [], "history_kept": False}, "")
    assert call("learn", "1", "--data", "train.npz", "--test", "test.npz", "--id", "a")[0] == 0
    told, lines = asked(call, "predict", "1", "test.npz")
    assert told["task"] == 1
    assert lines.split() == [str(c) for c in told["classes"]]
    assert len(told["classes"]) == 32
    assert call("unlearn", "1")[0] == 0
    told, lines = asked(call, "status")
    assert told == {
        "method": "uncle",
        "answered": 2,
        "room": 4,
        "learned": [],
        "unlearned": [1],
        "under_way": False,
        "history_kept": False,
        "notes": [],
    }
    assert lines.startswith("answered: 2 requests; room for 4 tasks\nlearned: none\nunlearned: 1\n")
    told, lines = asked(call, "history")
    assert [(r["op"], r["task"], r["id"]) for r in told["requests"]] == [
        ("L", 1, "a"),
        ("U", 1, "U1-2"),
    ]
    for entry, line in zip(told["requests"], lines.splitlines(), strict=True):
        assert line == look.line_of(entry)
        assert f"1: {entry['accuracy']['1']:.1f};" in line
        assert line.endswith(f"erased: {', '.join(entry['erased'])}")
    told, lines = asked(call, "verify", "--test", "1=test.npz")
    assert told["failed"] is False
    assert told["problems"] == told["unmeasured"] == []
    assert {m["task"] for m in told["measured"]} == {1}
    assert all(m["images"] == 32 and m["forgotten"] for m in told["measured"])
    assert f"{told['measured'][0]['accuracy']:.1f} % of 32 images" in lines
    (tmp_path / "store" / "stray").write_text("?")
    status, out, err = call("verify", "--json")
    assert (status, err) == (1, "")
    assert json.loads(out)["problems"] == ["stray does not belong to the store"]


def test_a_network_that_answers_nothing_has_no_accuracy_in_json(capsys, monkeypatch, tmp_path):
    from uncle_jax.evaluation.audit import store as checks

    assert request.main(["--store", str(tmp_path / "s"), *INIT]) == 0
    found = Report(1, (), (Measurement("checkpoints/1", 1, float("nan"), 50.0),), (), {})
    monkeypatch.setattr(checks, "verify", lambda *_: found)
    np.savez(tmp_path / "t.npz", x=blobs(2, 32).images, y=blobs(2, 32).labels)
    capsys.readouterr()
    words = ["verify", "--test", f"1={tmp_path / 't.npz'}", "--json"]
    assert request.main(["--store", str(tmp_path / "s"), *words]) == 0
    (one,) = json.loads(capsys.readouterr().out)["measured"]
    assert (one["accuracy"], one["forgotten"]) == (None, False)


def test_lines_go_to_a_person_and_one_object_to_a_program(capsys):
    look.show(Namespace(json=False), {"a": 1}, ["one", "two"])
    assert capsys.readouterr().out == "one\ntwo\n"
    look.show(Namespace(json=True), {"a": 1}, ["one", "two"])
    assert json.loads(capsys.readouterr().out) == {"a": 1}


def test_what_could_not_fail_or_was_not_measured_is_said():
    few = Measurement("checkpoints/1", 1, 0.0, 100.0)
    lines, weak = look.measured(Report(3, (), (few,), (2,), {}), {1: blobs(0, 4), 3: blobs(0, 4)})
    assert weak
    assert "forgotten task 1: too few test images, so no network could fail; give more" in lines
    assert "forgotten task 2: not measured, give --test 2=FILE" in lines
    assert "task 3 is not forgotten, so its --test measured nothing" in lines
