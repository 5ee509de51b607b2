"""A sequence killed again and again ends as if nobody had touched it."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import jax
import pytest
import storing
from storing import SEQUENCE, predicts

from uncle_jax.config import fingerprint
from uncle_jax.engine import resume as sequence
from uncle_jax.errors import UncleError

HERE = Path(storing.__file__).parent
ODD = ("", " two words", "-é→", "$HOME", "'\"`", "%s{0}", "*?[a]", "~", "#;&|", "\\n")
"""What folders are called as well."""
# A half-written checkpoint is tried too; what Orbax's threads then say is not what is tested.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("collected"),
]


def process(workdir, change=None, seconds=None):
    """The exit status of a process that answers the sequence, killed as asked (-9) or not (0)."""
    workdir.mkdir(exist_ok=True)
    command = [sys.executable, str(HERE / "storing.py"), str(workdir)]
    path = os.pathsep.join([str(HERE.parent), str(HERE)])
    with subprocess.Popen(
        command + ([str(change)] if change else []),
        env={**os.environ, "PYTHONPATH": path}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        ready = child.stdout.readline()
        if seconds is not None and ready:
            timer = threading.Timer(seconds, child.send_signal, [signal.SIGKILL])
            timer.start()
        _, errors = child.communicate()
        if seconds is not None and ready:
            timer.cancel()
    assert child.returncode in (0, -signal.SIGKILL), errors
    return child.returncode


def forgotten(workdir):
    """Tasks whose unlearning was reported done (none is learned again)."""
    reported = workdir / "reported.txt"
    names = reported.read_text().split() if reported.exists() else []
    return [int(name.split("-U")[1]) for name in names if "-U" in name]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(folder, how an uninterrupted run ends)."""
    folder = tmp_path_factory.mktemp("kills")
    assert process(folder / "whole") == 0
    assert forgotten(folder / "whole") == [0, 1]
    return folder, json.loads((folder / "whole" / "end.json").read_text())


def kill(folder, goal, kills, rng, longest):
    """Kill `kills` processes, by each kind in turn; going on after each; (runs, kills by kind)."""
    workdir, runs, count = (
        folder / f"run0{ODD[0]}",
        0,
        {"at a change to the disk": 0, "at a moment": 0},
    )
    while True:
        last = sum(count.values()) == kills
        kind = None if last else min(count, key=lambda kind: count[kind])
        how = {
            "at a change to the disk": {"change": rng.randint(1, longest)},
            "at a moment": {"seconds": rng.uniform(0, longest / 60)},
            None: {},
        }[kind]
        status = process(workdir, **how)
        assert predicts(workdir / "store", forgotten(workdir)) == []
        if status:
            count[kind] += 1
            continue
        assert json.loads((workdir / "end.json").read_text()) == goal
        runs += 1
        workdir = folder / f"run{runs}{ODD[runs % len(ODD)]}"
        if last:
            return runs, count


def test_a_killed_sequence_ends_in_the_same_bits(whole):
    folder, goal = whole
    runs, count = kill(folder, goal, 4, random.Random(1), 220)
    assert runs >= 1
    assert list(count.values()) == [2, 2]


@pytest.mark.soak
def test_200_kills(whole):
    folder, goal = whole
    runs, count = kill(folder, goal, 200, random.Random(2), 330)
    print(f"\n200 kills: {count}; {runs} runs, each ended in the same bits as an uninterrupted one")


def test_the_same_command_again_does_nothing_twice(whole):
    folder, goal = whole
    before = (folder / "whole/store/ledger.jsonl").read_bytes()
    run = storing.answer_sequence(folder / "whole", on_request=lambda entry: 1 / 0)
    assert json.loads(json.dumps(storing.ending(run))) == goal
    assert (folder / "whole/store/ledger.jsonl").read_bytes() == before


def test_another_sequence_is_refused(whole):
    folder, _ = whole
    method, key = storing.learner(), jax.random.key(0)
    for print_, history, told in (
        (fingerprint({"other": 1}), False, "has sequence"),
        (fingerprint({}), True, "has keep_history False, now True"),
    ):
        with pytest.raises(UncleError, match=told):
            sequence.open_sequence(
                folder / "whole/store", method, key, storing.identity(), print_, history
            )
    other = storing.identity(storing.HYPER)
    with pytest.raises(UncleError, match="is of another kind: burn_in 40, here 10"):
        sequence.open_sequence(folder / "whole/store", method, key, other, fingerprint({}))


def test_a_used_store_is_not_removed(whole, tmp_path):
    folder, _ = whole
    sequence.remove(tmp_path / "nothing")
    store, run = sequence.open_sequence(
        folder / "whole/store", storing.learner(), jax.random.key(0), storing.identity(),
        fingerprint({}),
    )  # fmt: skip
    with store:
        assert [answer.request for answer in run.answers] == list(SEQUENCE)
        with pytest.raises(UncleError, match="in use"):
            sequence.remove(folder / "whole/store")
    assert (folder / "whole/store/ledger.jsonl").exists()
