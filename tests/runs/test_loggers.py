"""Losses and accuracies as a run goes on."""

import json
import struct
import sys
import types

import pytest

from uncle_jax.errors import UncleError
from uncle_jax.evaluation.answers import Answer
from uncle_jax.requests import parse
from uncle_jax.runs.loggers import EVERY, RunLog, check

REQUESTS = parse("L0 L1 U0")
ACCURACY = ({0: 90.0}, {0: 91.0, 1: 80.0}, {0: 10.0, 1: 81.0})


def log_of(folder, names=("jsonl",), done=0):
    return RunLog(folder, names, REQUESTS, done, "a-seed0")


def answered(log, index, steps=50):
    """A request of so many steps, and its answer."""
    for step in range(1, steps + 1):
        log.step(step, steps, 1.0 / step)
    log.answer(Answer(index, REQUESTS[index], dict(ACCURACY[index]), 2.0, 0.0))


def lines(folder):
    text = (folder / "log.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def whole(folder, names=("jsonl",)):
    with log_of(folder, names) as log:
        for index in range(3):
            answered(log, index)
    return lines(folder)


def test_a_line_for_some_steps_and_for_each_answer(tmp_path):
    found = whole(tmp_path)
    losses = [one for one in found if "loss" in one and one["request"] == 1]
    assert [one["step"] for one in losses] == [EVERY, 2 * EVERY, 50]
    assert [one["total"] for one in losses] == [50 + EVERY, 50 + 2 * EVERY, 100]
    assert losses[-1]["loss"] == 1 / 50
    last = found[-1]
    assert (last["op"], last["task"], last["total"]) == ("unlearn", 0, 150)
    assert (last["retained"], last["others"]) == (81.0, 10.0)
    assert last["accuracy"] == {"0": 10.0, "1": 81.0}


def test_after_a_kill_nothing_is_told_twice(tmp_path):
    (tmp_path / "whole").mkdir()
    wanted = whole(tmp_path / "whole")
    with log_of(tmp_path) as log:
        answered(log, 0)
        for step in range(1, 31):  # the second request is killed under way
            log.step(step, 50, 0.5)
    with (tmp_path / "log.jsonl").open("a") as file:
        file.write('{"request": 1, "lo')
    with log_of(tmp_path, done=1) as log:
        answered(log, 1)
        answered(log, 2)
    assert lines(tmp_path) == wanted


def test_another_run_in_the_folder_begins_anew(tmp_path):
    wanted = whole(tmp_path)
    assert whole(tmp_path) == wanted


def test_without_a_name_nothing_is_written(tmp_path):
    with log_of(tmp_path, ()) as log:
        answered(log, 0)
    assert not list(tmp_path.iterdir())


def test_what_there_is_not(monkeypatch):
    check(["jsonl"])
    with pytest.raises(UncleError, match="did you mean 'jsonl'"):
        check(["json"])
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UncleError, match=r"needs wandb \(pip install 'uncle-jax\[log\]'\)"):
        check(["wandb"])


def test_tensorboard_is_read_back(tmp_path):
    Event = pytest.importorskip("tensorboardX.proto.event_pb2").Event
    whole(tmp_path, ("tensorboard",))

    def scalars(name):
        (path,) = (tmp_path / "tensorboard" / name).iterdir()
        data, at = path.read_bytes(), 0
        while at < len(data):  # length, its checksum, an event, its checksum
            (size,) = struct.unpack("<Q", data[at : at + 8])
            event = Event.FromString(data[at + 12 : at + 12 + size])
            at += size + 16
            for value in event.summary.value:
                yield value.tag, event.step, value.simple_value

    losses = {(tag, step): value for tag, step, value in scalars("losses")}
    assert {tag for tag, _ in losses} == {"loss/learn", "loss/unlearn"}
    assert losses["loss/unlearn", 150] == pytest.approx(1 / 50)
    accuracies = {(tag, step): value for tag, step, value in scalars("accuracies")}
    assert [accuracies["accuracy/task_0", step] for step in range(3)] == [90.0, 91.0, 10.0]
    assert accuracies["retained", 2] == 81.0


def test_weights_and_biases_is_told_the_same(tmp_path, monkeypatch):
    told, begun = [], []

    class Run:
        def define_metric(self, name, step_metric):
            assert step_metric in ("total", "request")

        def log(self, record):
            told.append(record)

        def finish(self):
            told.append("finished")

    fake = types.SimpleNamespace(init=lambda **more: begun.append(more) or Run())
    monkeypatch.setitem(sys.modules, "wandb", fake)
    whole(tmp_path, ("wandb",))
    assert (begun[0]["id"], begun[0]["resume"]) == ("a-seed0", None)
    assert told[0] == {"loss/learn": 1 / EVERY, "total": EVERY}
    assert told[-2]["accuracy/task_1"] == 81.0
    assert told[-1] == "finished"
