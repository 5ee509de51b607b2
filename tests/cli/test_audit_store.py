"""uncle audit --store, as a user types it: attacks, the ledger's line, the certificate, verify."""

import json
import shutil
from functools import partial

import numpy as np
import pytest
from conftest import Small, blobs

from uncle_jax.cli import audit, request
from uncle_jax.core import backbones
from uncle_jax.engine import audit as audits
from uncle_jax.evaluation.audit.embedding_search import EmbeddingSearch
from uncle_jax.evaluation.audit.relearning import Relearning
from uncle_jax.store.recovery import open_store

QUICK = ["epochs=2", "batch_size=16", "width=4", "trunk=8,16", "embedding=4", "chunks=7"]
QUICK += ["burn_in=3", "norm_calibration=0", "eval_batch_size=16"]
INIT = ["init", "--tasks", "3", "--image-shape", "6", "6", "1", "--classes", "3"]
INIT += [word for setting in QUICK for word in ("--set", setting)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store that learned 0 and 1 and forgot 0, beside images of three tasks."""
    folder = tmp_path_factory.mktemp("audited")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(backbones, "from_config", lambda config, n_classes: Small(n_classes))
        for task in (0, 1, 2):
            for split, seed in (("train", 2 * task), ("test", 2 * task + 1)):
                data = blobs(seed, 48)
                np.savez(f"{split}{task}.npz", x=data.images, y=data.labels)
        for words in (
            INIT,
            ["learn", "0", "--data", "train0.npz", "--test", "test0.npz"],
            ["learn", "1", "--data", "train1.npz", "--test", "test1.npz"],
            ["unlearn", "0"],
        ):
            assert request.main(["--store", "store", "--compile-cache", "none", *words]) == 0
    return folder


@pytest.fixture
def call(made, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(backbones, "from_config", lambda config, n_classes: Small(n_classes))
    search = EmbeddingSearch(starts=2, steps=3)
    relearning = Relearning(epochs=(0.5,), examples=(4,), steps=(2, 3))
    monkeypatch.setattr(
        audits, "StoreAudit", partial(audits.StoreAudit, search=search, relearning=relearning)
    )
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()

    def call(*words):
        status = audit.main(["--store", "store", "--compile-cache", "none", *words])
        return status, *capsys.readouterr()

    return call


def test_an_audit_is_entered_certified_and_verified(call, tmp_path, capsys):
    asked = ("--task", "0", "--data", "train0.npz", "--never", "train2.npz", "--draws", "2")
    status, out, _ = call(*asked)
    assert status == 0
    assert "Audit: task 0, unlearned by request number 3" in out
    attacks = ["embedding search", "relearning", "relearning, 4 images"]
    for name in (*attacks, "rounding"):
        (line,) = (line for line in out.splitlines() if line.startswith(f"  {name}:"))
        assert line.endswith(("leak", "within the reference", "no evidence: power too low"))
    assert "power: retained tasks 1" in out  # of the test images that the store has kept
    with open_store(tmp_path / "store", write=False) as store:
        (entry,) = store.audits
        assert (entry["task"], entry["step"], entry["after_requests"]) == (0, 3, 3)
        assert [one["attack"] for one in entry["attacks"]] == [*attacks, "rounding"]
        assert entry["attacks"][0]["draws"] == 2
        assert entry["state"] == store.requests[-1]["state"]
        assert entry["versions"]["jax"]
    common = ["--store", "store", "--compile-cache", "none"]
    assert request.main([*common, "verify", "--test", "0=test0.npz", "--json"]) in (0, 1)
    told = json.loads(capsys.readouterr().out)
    assert [one["task"] for one in told["audits"]] == [0]
    assert not [p for p in told["problems"] if "certificates" in p or "does not belong" in p]
    # the store goes on, and so does its chain
    assert request.main([*common, "learn", "2", "--data", "train2.npz"]) == 0
    capsys.readouterr()
    again = call(*asked, "--json")
    assert again[0] == 0
    assert json.loads(again[1])["after_requests"] == 4
    page = sorted((tmp_path / "store" / "certificates").glob("3-audit-*.txt"))[0]
    page.write_text("all is well")
    capsys.readouterr()
    assert request.main([*common, "verify"]) == 1
    assert "is not what the ledger says" in capsys.readouterr().out


def test_without_a_reference_nothing_is_said(call):
    status, out, _ = call("--task", "0", "--data", "train0.npz", "--draws", "2")
    assert status == 0
    assert out.count("no evidence: no reference") == 3  # rounding has one: a constant answer
    assert "Reference: 0 tasks never learned" in out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--task", "1", "--data", "train1.npz"], "task 1 is not forgotten in store (are: 0)"),
        (["--task", "0"], "--store needs --data"),
        (["--data", "train0.npz"], "--store needs --task"),
        (["--task", "0", "--data", "nowhere.npz"], "nowhere.npz"),
        (["--task", "0", "--data", "train0.npz", "--draws", "0"], "draws must be at least 1"),
        (
            ["--task", "0", "--data", "train0.npz", "--retained", "2=train2.npz"],
            "task 2 is not retained",
        ),
        (["--task", "0", "--data", "train0.npz", "--retained", "train2.npz"], "not TASK=FILE"),
        (["runs/a", "--task", "0", "--data", "train0.npz"], "give RUN folders, or --store DIR"),
    ],
)
def test_bad_input_is_one_line_and_2_and_nothing_is_entered(call, tmp_path, words, told):
    before = (tmp_path / "store" / "ledger.jsonl").read_bytes()
    status, out, err = call(*words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert told in err
    assert (tmp_path / "store" / "ledger.jsonl").read_bytes() == before
