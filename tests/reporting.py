"""A finished run's files, for the tests of what reads them."""

import csv
import json
from pathlib import Path

from uncle_jax.config import as_dict
from uncle_jax.presets import preset
from uncle_jax.report import audit as audits
from uncle_jax.report.results import read_run
from uncle_jax.requests import parse, retained

COLUMNS = ("request", "op", "task", "evaluated_task", "split", "metric", "value")


def write_run(
    folder: Path,
    method="uncle",
    seeds=(0,),
    ra=90.0,
    fa=10.0,
    spill=0.0,
    relapse=0.0,
    requests="L0 L1 U0 L2",
    dataset="cifar100",
    name="laptop",
    told=None,
    config=None,
    summary=None,
    answered=None,
) -> Path:
    """A work directory whose metrics are those given; RA grows by 1 from seed to seed."""
    asked = parse(requests)
    for i, seed in enumerate(seeds):
        where = folder / f"seed{seed}"
        where.mkdir(parents=True, exist_ok=True)
        usual = preset(dataset, name)
        # as older runs have it: UnCLe's settings are everybody's
        settings = as_dict(usual.config) | as_dict(usual.uncle) | (config or {})
        says = {"preset": name, "dataset": dataset, "requests": requests, "method": method}
        says |= {"seed": seed, "config": settings, "remarks": [], **(told or {})}
        (where / "config.json").write_text(json.dumps(says))
        with (where / "metrics.csv").open("w") as file:
            rows = csv.writer(file)
            rows.writerow(COLUMNS)
            for at, (op, task, _) in enumerate(asked[:answered]):
                later = sum(one.op == "U" for one in asked[at + 1 :])
                kept, last = retained(asked[: at + 1]), at == len(asked) - 1
                for seen in dict.fromkeys(one.task for one in asked[: at + 1]):
                    value = ra + i - spill * later if seen in kept else fa + relapse * (not last)
                    rows.writerow([at, op, task, seen, "test", "accuracy", f"{value:.4f}"])
    done = {"RA": {"per_seed": {str(seed): 0 for seed in seeds}}, "chance": 10.0, "remarks": []}
    done |= {"unlearn_seconds": 2.0, "wall_seconds": 60.0 * len(seeds), **(summary or {})}
    (folder / "summary.json").write_text(json.dumps(done))
    return folder


def write_audit(
    folder: Path,
    unlearned=(90.0, 20.0),
    never=((40.0, 30.0), (35.0, 30.0)),
    relearned=None,
) -> Path:
    """audit.json for each seed of a run: task 0 unlearned, 1 retained, 5 and on never learned.

    `unlearned`, `never`: each start's accuracy; `relearned`: of task 0 by state, 1 more a seed.
    """
    relearned = relearned or {"run": 60.0, "swapped": 50.0, "never": 55.0}

    def found(attack, role, state, task, place, accuracy):
        piece = {"attack": attack, "role": role, "state": state, "task": task, "slot": task}
        return {"piece": piece, "place": place, "accuracy": accuracy, "seconds": 1.0}

    for path in sorted(folder.glob("seed*")):
        seed = int(path.name[4:])
        made = [found("embedding search", "unlearned", "run", 0, 0, [*unlearned])]
        made.append(found("embedding search", "retained", "run", 1, 1, [95.0, 20.0]))
        made += [
            found("embedding search", "never", "run", 5 + i, None, [*one])
            for i, one in enumerate(never)
        ]
        for state, value in relearned.items():
            made.append(found("relearning", "unlearned", state, 0, 0, [[1.0, value + seed, 99.0]]))
        settings = {"relearning": {"epochs": [0.5, 1.0, 2.0], "repeats": 1}}
        told = {"complete": True, "settings": settings, "found": made, "run": {"seed": seed}}
        (path / "audit.json").write_text(json.dumps(told))
    return folder


def audited_rows(folder: Path, seeds=(0, 1, 2), **more) -> list[audits.Audited]:
    """The rows of a run that was audited, of so many seeds."""
    return audits.audited(read_run(write_audit(write_run(folder / "a", seeds=seeds), **more))[0])


def add_findings(one: audits.Audited, attack: str, by_state, task: int = 0) -> None:
    """Findings of an attack on an unlearned task: {state: seed -> what was found}."""
    for seed, audit in one.audits.items():
        for state, of in by_state.items():
            piece = {"attack": attack, "role": "unlearned", "state": state, "task": task}
            told = {"piece": piece | {"slot": task}, "place": 0, "seconds": 1.0, **of(seed)}
            audit["found"].append(told)


def probes(run: float, never: float, kept: float):
    """Findings of a probe of two layers, the last as given, one more a seed in the run's state."""

    def found(value):
        return lambda seed: {
            "probe": [50.0, value + (seed if value == run else 0)],
            "cka kept": [1.0, value / 100],
        }

    return {"run": found(run), "never": found(never), "kept": found(kept)}


def whole(folder: Path) -> dict[Path, bytes]:
    """Every file's name and bytes."""
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
