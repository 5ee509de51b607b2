"""One budget for all: what is tried is declared, goes on where it was, and the best is chosen."""

import json
from dataclasses import replace

import pytest
from conftest import HYPER, TINY

from uncle_jax.engine import tuning
from uncle_jax.errors import UncleError
from uncle_jax.presets import PRESETS, Preset
from uncle_jax.runs import protocol
from uncle_jax.runs.protocol import Protocol, best

METHODS = ("hnet", "ssd", "ft")
ASKED = Protocol("permuted-digits", "laptop", 2, (10,), "L0 L1 U0", METHODS)


def trial(changes, score, **more):
    return {"method": "ssd", "seed": 10, "changes": changes, "score": score, **more}


def answer(stage, folder, asked=ASKED):
    """All cells of a stage in this process: {file: (answered, of)}."""
    told = {}
    for cell in protocol.cells(asked, stage, folder):
        work = protocol.work_of(asked, stage, "none")
        work(cell, lambda done, of, name=cell.workdir.name: told.update({name: (done, of)}))
    return told


def test_the_best_is_the_highest_mean_over_seeds_and_no_failure():
    a, b, c = {}, {"ssd.alpha": "3"}, {"ssd.alpha": "1"}
    trials = [trial(a, 50.0), trial(b, 60.0), trial(c, 99.0), trial(a, 60.0), trial(b, 51.0)]
    assert best([*trials, trial(c, None, failed="not finite")]) == b
    assert best([trial(a, 1.0), trial(b, 1.0)]) == a, "the first of equals: as it is"
    with pytest.raises(UncleError, match="every trial failed"):
        best([trial(a, None)])


def test_families_are_those_of_the_methods():
    assert ASKED.families == ("hypernetwork", "derpp")
    assert Protocol("cifar100", "laptop").families == (
        "hypernetwork", "derpp", "independent", "lwsf",
    )  # fmt: skip
    assert protocol.tuned(ASKED) == ("ssd", "ft"), "hnet has nothing to choose"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"trials": 0}, "--trials"),
        ({"requests": "L0 L1"}, "--requests must unlearn"),
        ({"methods": ("scrubb",)}, "scrub"),
        ({"methods": ("pyproject.py:f",)}, "no file"),
    ],
)
def test_what_cannot_be_tried_is_said(changes, told):
    with pytest.raises(UncleError, match=told):
        protocol.check(replace(ASKED, **changes))


@pytest.fixture
def brief(monkeypatch):
    """The preset is over in a moment."""
    monkeypatch.setitem(PRESETS["permuted-digits"], "laptop", Preset(TINY, "", HYPER))


@pytest.mark.usefixtures("small_networks", "brief")
def test_learners_then_methods_with_the_same_count_each(tmp_path, monkeypatch):
    asked = replace(ASKED, methods=("ssd", "ft"))
    with pytest.raises(UncleError, match="not made"):
        protocol.choices(asked, "learning", tmp_path)
    told = answer("learning", tmp_path, asked)
    assert told == {"learning-derpp.json": (2, 2)}
    assert answer("unlearning", tmp_path, asked)["unlearning-derpp.json"] == (4, 4)

    found = protocol.record(asked, tmp_path)
    assert {*found["learning"]["choices"]} == {"derpp"}
    assert {*found["unlearning"]["choices"]} == {"ssd", "ft"}
    trials = found["unlearning"]["unlearning-derpp"]["trials"]
    assert [one["method"] for one in trials] == ["ssd", "ssd", "ft", "ft"]
    assert trials[0]["changes"] == {}
    assert [*trials[1]["changes"]] == ["ssd.alpha", "ssd.lam", "ssd.against"]
    chosen = found["learning"]["choices"]["derpp"]
    config = found["unlearning"]["unlearning-derpp"]["decided"]["config"]
    assert float(chosen.get("lr", config["lr"])) == config["lr"], (
        "methods have their learner's rate"
    )

    # What is there is not tried again; what is missing is.
    path = tmp_path / "unlearning-derpp.json"
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**kept, "trials": kept["trials"][:3]}))
    tried = []
    real = tuning.sweep

    def counting(points, *args, **more):
        tried.extend(points)
        return real(points, *args, **more)

    monkeypatch.setattr(tuning, "sweep", counting)
    answer("unlearning", tmp_path, asked)
    assert [one.name for one in tried] == ["ft"]
    again = json.loads(path.read_text())["trials"]
    assert again[3]["RA"] == kept["trials"][3]["RA"]

    fewer = protocol.record(replace(asked, methods=("ssd",)), tmp_path)
    assert {*fewer["unlearning"]["choices"]} == {"ssd"}, "of what is asked for alone"
    assert len(fewer["unlearning"]["unlearning-derpp"]["trials"]) == 2

    with pytest.raises(UncleError, match="another protocol"):
        answer("learning", tmp_path, replace(asked, requests="L0 L2 U0"))
