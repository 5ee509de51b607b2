"""experiments/request.py, one call a request, as a user types it."""

import json
import re
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from conftest import blobs

from uncle_jax.cli import request
from uncle_jax.engine.learner import learner, template
from uncle_jax.store.checkpoint import tree_hash
from uncle_jax.store.recovery import open_store

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "request.py"
QUICK = ["epochs=1", "batch_size=16", "width=4", "trunk=8,16", "embedding=4", "chunks=7"]
QUICK += ["burn_in=3", "norm_calibration=0", "eval_batch_size=16"]


@pytest.fixture(scope="module")
def command():
    return request


INIT = ["init", "--tasks", "4", "--image-shape", "6", "6", "1", "--classes", "3"]
INIT += [word for setting in QUICK for word in ("--set", setting)]


def made_of(*words):
    """INIT, but for an option."""
    return [*INIT, *words]


def data_in(folder: Path) -> Path:
    for task in (1, 2):
        for split, seed in (("train", 2 * task), ("test", 2 * task + 1)):
            data = blobs(seed, 32)
            np.savez(folder / f"{split}{task}.npz", x=data.images, y=data.labels)
    return folder


@pytest.fixture
def call(command, capsys, monkeypatch):
    def call(where, *words):
        monkeypatch.chdir(where)
        status = command.main(["--store", "store", "--compile-cache", "none", *words])
        return status, *capsys.readouterr()

    return call


@pytest.fixture(scope="module")
def made(command, tmp_path_factory):
    """A folder with data and a store that has answered nothing."""
    folder = data_in(tmp_path_factory.mktemp("request"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert command.main(["--store", "store", "--compile-cache", "none", *INIT]) == 0
    return folder


@pytest.mark.parametrize(
    ("words", "hold", "dead"),
    [
        ([], "solved", "redraw"),
        (["--set", "hold=drift"], "drift", "redraw"),
        (["--set", "chunks=3"], "drift", "leave"),  # 17 features over 3: room for 5 of 6 tasks
        (["--method", "refit"], "drift", "leave"),  # it holds what it retains by itself
    ],
)
def test_a_store_holds_what_it_retains_unless_told_otherwise(call, tmp_path, words, hold, dead):
    quick = [word for setting in (*QUICK[:5], "chunks=2") for word in ("--set", setting)]
    shape = ["--image-shape", "6", "6", "1", "--classes", "3"]
    status, out, _ = call(tmp_path, "init", "--tasks", "6", *shape, *quick, *words)
    created = json.loads((tmp_path / "store/ledger.jsonl").read_text())
    settings = created["settings"]["identity"]["settings"]
    assert (status, settings["hold"], settings["dead"]) == (0, hold, dead)
    assert (f"held by hold={hold}, dead={dead}" in out) == ("refit" not in words)
    assert ("heads have room for 5 of 6 tasks; with --set trunk=8,18" in out) == (
        "chunks=3" in words
    )


def test_a_task_that_has_fallen_is_told_of(call, made, tmp_path):
    shutil.copytree(made, tmp_path / "x")
    ask = partial(call, tmp_path / "x")
    _, out, _ = ask("learn", "1", "--data", "train1.npz", "--test", "test1.npz")
    assert "warning" not in out
    _, out, _ = ask("learn", "2", "--data", "train2.npz", "--warn-fall", "-200")
    assert "warning: task 1 is retained and has lost" in out
    assert "warning: task 2" not in out  # it has no test data


def test_a_life_of_a_store(call, tmp_path):
    call, place = partial(call, data_in(tmp_path)), tmp_path
    assert call(*INIT, "--set", "hold=solved", "--set", "chunks=18")[0] == 0
    status, out, _ = call("learn", "1", "--data", "train1.npz", "--test", "test1.npz", "--id", "a")
    assert status == 0
    assert "warning: uncle's heads have room for 0 of the 1 tasks" in out  # 17 features
    assert "a is durable; erased: " in out
    for part in ("imports", "restore", "compile", "optimise", "save", "all"):
        assert re.search(rf"{part} \d+\.\d\d", out)
    again = call("learn", "1", "--data", "train1.npz", "--id", "a")
    assert again[0] == 0
    assert "a was answered already" in again[1]
    status, out, _ = call("predict", "1", "test1.npz")
    assert status == 0
    assert len(out.split()) == 32
    assert set(out.split()) <= {"0", "1", "2"}
    status, out, _ = call("unlearn", "1")
    assert status == 0
    assert "Certificate: task 1 was unlearned (request U1-2)" in out
    assert call("predict", "1", "test1.npz")[0] == 2
    status, out, _ = call("status")
    assert "learned: none\nunlearned: 1\nhistory: erased" in out
    status, out, _ = call("history")
    learned, unlearned = out.splitlines()
    assert re.search(r" L1    a  .* s  accuracy \(%\) 1: \d+\.\d; state ", learned)
    assert re.search(r" U1    U1-2 .*\(%\) 1: .*; state .*erased: .*checkpoints/1", unlearned)
    status, out, _ = call("verify", "--test", "1=test1.npz")
    assert status == 0, out
    assert "the chain holds" in out
    assert "checkpoints/2: forgotten task 1: " in out
    assert " % of 32 images, guessing stays under " in out
    status, out, _ = call("unlearn", "1")
    assert status == 0
    assert re.search(r"^task 1 was unlearned already by U1-2, at .*; nothing done$", out.strip())
    assert call("verify")[0] == 0
    status, out, _ = call("verify", "--require-measured")
    assert status == 1
    assert "forgotten task 1: not measured, give --test 1=FILE" in out
    assert "no forgotten task was measured" in out
    status, out, _ = call("verify", "--require-measured", "--test", "2=test2.npz")
    assert "task 2 is not forgotten, so its --test measured nothing" in out
    assert status == 1
    few = np.load(place / "test1.npz")
    np.savez(place / "few.npz", x=few["x"][:1], y=few["y"][:1])
    status, out, _ = call("verify", "--require-measured", "--test", "1=few.npz")
    assert "too few test images, so no network could fail" in out
    assert "nothing vouches for the test images of task 1: it was measured with others" in out
    assert status == 1
    assert call("verify", "--require-measured", "--test", "1=test1.npz")[0] == 0
    lines = (place / "store/ledger.jsonl").read_text()
    (place / "store/ledger.jsonl").write_text(lines.replace('"op": "U"', '"op": "L"'))
    status, _, err = call("verify")
    assert status == 2
    assert "the chain breaks at line 4" in err
    (place / "store/ledger.jsonl").write_text(lines)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["unlearn", "3"], "task 3 is not learned"),
        (["unlearn", "9"], "unknown task 9 (allowed: 0 to 3)"),
        (["learn", "100000", "--data", "train1.npz"], "unknown task 100000 (allowed: 0 to 3)"),
        (["learn", "2", "--data", "missing.npz"], "cannot read missing.npz"),
        (["learn", "2", "--data", "train2.npz", "--save-every", "0"], "at least 1 epoch"),
        (["predict", "2", "test2.npz"], "task 2 is not learned (learned: [])"),
        (["verify", "--test", "1"], "is not TASK=FILE"),
        (INIT, "already holds a store"),
        (made_of("--tasks", "0"), "--tasks must be 1 to 100000, not 0"),
        (made_of("--classes", "1"), "--classes must be 2 to 100000, not 1"),
        (made_of("--seed", "9" * 20), "--seed must be from 0 to 4294967295"),
        (made_of("--seed", "-1"), "--seed must be from 0"),
        (made_of("--image-shape", "0", "8", "1"), "--image-shape is H W D, 1 to 100000 twice"),
        (made_of("--image-shape", "8", "8", "-1"), "then 1 or 3, not 8 8 -1"),
        (made_of("--image-shape", "8", "8", "5"), "then 1 or 3, not 8 8 5"),
        (made_of("--set", "chunk=5"), "did you mean 'chunks'"),
        (["learn", "2", "--data", "train2.npz", "--id", ""], "--id '' must be printable"),
        (["learn", "2", "--data", "train2.npz", "--id", "a\nb"], "must be printable, in one line"),
        (["learn", "2", "--data", "train2.npz", "--id", "a" * 201], "--id has 201 letters"),
        (["unlearn", "2", "--id", "\x1b[2J"], "must be printable"),
        (["--compile-cache", "store/cache", "unlearn", "1"], "is inside the store"),
        (["--store", "new", "init", "--method", "refitt", *INIT[1:]], "did you mean 'refit'"),
        (["--store", "new", *INIT[:9], "--method", "ssd"], "and a store keeps none"),
        (["--store", "nowhere", "status"], "nowhere holds no store (init makes one)"),
    ],
)
def test_bad_input_is_one_line_exit_code_2_and_changes_nothing(call, made, words, told):
    def files():
        return {p: p.read_bytes() for p in made.rglob("*") if p.is_file() and p.name != "LOCK"}

    before = files()
    status, out, err = call(made, *words)
    assert status == 2
    assert told in err
    assert len(err.strip().splitlines()) == 1
    assert out == ""
    assert files() == before


def test_help_and_unknown_words_in_a_process_of_its_own(tmp_path):
    for words, status in ((["--help"], 0), (["--store", "s", "forget", "3"], 2)):
        done = subprocess.run(
            [sys.executable, str(SCRIPT), *words],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == status
    assert "error: argument command: invalid choice: 'forget'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_init_asks_for_what_it_cannot_know(capsys):
    with pytest.raises(SystemExit) as end:
        request.main(["--store", "store", "init"])
    assert end.value.code == 2
    told = capsys.readouterr().err
    assert "the following arguments are required: --tasks, --image-shape, --classes" in told


@pytest.mark.parametrize(
    "images",
    [np.full((3, 6, 6, 1), np.nan, np.float32), np.uint8(3), np.zeros((2, 0, 6, 1)), np.zeros(0)],
)
def test_images_that_are_none_are_not_answered(call, made, images):
    np.savez(made / "odd.npz", x=images)
    for words in (("predict", "1", "odd.npz"), ("learn", "2", "--data", "odd.npz")):
        status, out, err = call(made, *words)
        assert (status, out, len(err.splitlines())) == (2, "", 1)


GOOD = blobs(2, 32)
HOSTILE = {
    "NaN": {"x": np.full((32, 6, 6, 1), np.nan, np.float32), "y": GOOD.labels},
    "infinite": {"x": np.where(GOOD.images == 0, np.inf, 0.5).astype(np.float32), "y": GOOD.labels},
    "too bright": {"x": GOOD.images.astype(np.float32), "y": GOOD.labels},
    "negative": {"x": -np.ones((32, 6, 6, 1), np.float32), "y": GOOD.labels},
    "colours": {"x": np.zeros((32, 6, 6, 3), np.uint8), "y": GOOD.labels},
    "no image at all": {"x": np.zeros((32, 6), np.uint8), "y": GOOD.labels},
    "no images": {"x": np.zeros((0, 6, 6, 1), np.uint8), "y": np.zeros(0, np.int64)},
    "fewer labels": {"x": GOOD.images, "y": GOOD.labels[:-1]},
    "a label too high": {"x": GOOD.images, "y": GOOD.labels + 1},
    "a label below 0": {"x": GOOD.images, "y": GOOD.labels.astype(int) - 1},
    "half a label": {"x": GOOD.images, "y": GOOD.labels + 0.5},
    "labels NaN": {"x": GOOD.images, "y": np.full(32, np.nan)},
    "no labels": {"x": GOOD.images},
    "objects": {"x": np.asarray([None] * 32, object), "y": GOOD.labels},
    "text": {"x": np.asarray(["a"] * 32), "y": GOOD.labels},
}
ALLOWED = {
    "one image": {"x": GOOD.images[:1], "y": GOOD.labels[:1]},
    "another size": {"x": np.zeros((32, 7, 3, 1), np.uint8), "y": GOOD.labels},
}
"""Odd, and can be learned."""


def hostile(call, where, tries, interrupted=None):
    """Ask a store that has answered L1 for what is odd; {outcome: count}, nothing lost by any.

    `interrupted(words)`: ends such a request at a moment of its own choice.
    """
    np.savez(where / "good.npz", x=GOOD.images, y=GOOD.labels)
    assert call("learn", "1", "--data", "good.npz", "--test", "good.npz", "--id", "first")[0] == 0
    counts = {"refused": 0, "answered": 0, "interrupted": 0}
    kinds = [*HOSTILE, *ALLOWED, "an id twice", *(["interrupted"] if interrupted else [])]
    for number in range(tries):
        kind = kinds[number % len(kinds)]
        before, step = kept(where), len(kept(where))
        np.savez(
            where / "odd.npz", **HOSTILE.get(kind) or ALLOWED.get(kind) or ALLOWED["one image"]
        )
        if kind == "interrupted":
            end = interrupted(["learn", "3", "--data", "good.npz"])
            counts["interrupted" if end else "answered"] += 1
        else:
            words = ["learn", "2", "--data", "odd.npz"]
            status, _, err = call(*words, *(["--id", "first"] if kind == "an id twice" else []))
            allowed = kind in ALLOWED
            assert (status, len(err.splitlines())) == ((0, 0) if allowed else (2, 1)), (kind, err)
            counts["answered" if allowed else "refused"] += 1
            assert len(kept(where)) == step + allowed, kind
        assert kept(where)[:step] == before, kind
        for task in (2, 3):  # so that none is refused for being learned
            call("unlearn", str(task))
    assert call("verify")[0] == 0
    return counts


def kept(where: Path) -> list[tuple[str, str]]:
    """(id, state) of every request; the last state is the one that is restored."""
    with open_store(where / "store", write=False) as store:
        assert store.notes == []
        if store.step:
            found = tree_hash(store.load(template(learner(store))))
            assert found == store.requests[-1]["state"]
        return [(entry["id"], entry["state"]) for entry in store.requests]


def test_hostile_data_cost_a_line_each_and_change_nothing(call, made, tmp_path):
    where = shutil.copytree(made, tmp_path / "own")
    assert hostile(partial(call, where), where, len(HOSTILE) + 3) == {
        "refused": len(HOSTILE) + 1,
        "answered": 2,
        "interrupted": 0,
    }


@pytest.mark.soak
def test_50_hostile_requests(call, made, tmp_path, capsys):
    where = shutil.copytree(made, tmp_path / "own")
    rng = np.random.default_rng(1)

    def interrupted(words):
        command = [sys.executable, str(SCRIPT), "--store", "store", *words]
        child = subprocess.Popen(command, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            _, err = child.communicate(timeout=rng.uniform(0.1, 12))
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGINT)
            _, err = child.communicate()
        assert child.returncode in (0, 130, -signal.SIGINT), err  # the last: before it listens
        assert b"Error" not in err
        return child.returncode != 0

    counts = hostile(partial(call, where), where, 50, interrupted)
    with capsys.disabled():
        print(f"\n50 hostile requests: {counts}, the state unchanged after each refusal")


OWN_NET = """
import flax.linen as nn

class Net(nn.Module):
    n_classes: int

    @nn.compact
    def __call__(self, x, train):
        return nn.Dense(self.n_classes)(x.reshape(len(x), -1))
"""


def test_a_store_runs_no_code_by_itself_and_its_main_network_only_unchanged(call, tmp_path):
    data_in(tmp_path)
    (tmp_path / "net.py").write_text(OWN_NET)
    (tmp_path / "moved.py").write_text(OWN_NET)
    learn = "learn", "1", "--data", "train1.npz"
    assert call(tmp_path, "--main-net", "net.py:Net", *INIT)[0] == 0
    assert call(tmp_path, "--main-net", "net.py:Net", *learn)[0] == 0
    status, _, told = call(tmp_path, "predict", "1", "test1.npz")
    assert status == 2
    assert "made with --main-net net.py:Net, and a store runs no code by itself" in told
    asked = "predict", "1", "test1.npz"
    first, moved = (call(tmp_path, "--main-net", f"{f}.py:Net", *asked) for f in ("net", "moved"))
    assert first == moved
    assert first[0] == 0
    (tmp_path / "net.py").write_text(OWN_NET + "# another\n")
    status, _, told = call(tmp_path, "--main-net", "net.py:Net", *asked)
    assert status == 2
    assert "sha256" in told
    for wrong in ("thin", "none.py:Net"):
        assert call(tmp_path, "--main-net", wrong, *asked)[0] == 2
