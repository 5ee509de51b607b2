"""Every study of the paper, as data. Importing this module imports no jax.

A line is a method and what is changed of it; all lines of a study answer the same sequence of
Table 4. `laptop` is sized for two cores, `paper` is the paper's setting.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from uncle_jax.errors import UncleError, allowed
from uncle_jax.presets import PRESETS
from uncle_jax.report import paper
from uncle_jax.requests import table_4
from uncle_jax.runs.spec import RunSpec
from uncle_jax.runs.usual import chosen_by_trials

BASELINES = ("badteacher", "scrub", "salun", "jit", "gkt", "ssd", "jit-hnet", "gkt-hnet", "uncle")


class Line(NamedTuple):
    """One row of a study."""

    name: str  # as the paper's table has it
    method: str
    changes: tuple[str, ...] = ()  # as `--set` takes them


@dataclass(frozen=True)
class Study:
    """A question, the runs that answer it, and where the paper does."""

    name: str
    question: str
    tables: tuple[str, ...]  # of the paper, and figures
    metrics: tuple[str, ...]  # `seconds` is of one unlearning
    lines: Mapping[str, tuple[Line, ...]]  # by preset
    datasets: Mapping[str, tuple[str, ...]]  # by preset
    seq: int = 1  # of Table 4
    tuned: bool = False  # settings that trials chose, where they did: where learners are compared


def _each(key: str, *values: str, method: str = "uncle") -> tuple[Line, ...]:
    return tuple(Line(f"{key}={value}", method, (f"{key}={value}",)) for value in values)


def _both(*lines: Line) -> dict[str, tuple[Line, ...]]:
    return {"laptop": lines, "paper": lines}


_DIGITS = {"laptop": ("permuted-digits",), "paper": paper.DATASETS}
_IMAGES = {"laptop": ("permuted-digits",), "paper": ("cifar100", "tinyimagenet")}
_RESNET18 = ("five-tasks", "cifar100", "tinyimagenet")

STUDIES = {
    study.name: study
    for study in (
        Study(
            "saturation",
            "Does unlearning old tasks leave room for new ones?",
            ("table 3", "figure 5", "figure 7"),
            ("RA",),
            _both(Line("learning only", "only-learning"), Line("UnCLe", "uncle")),
            _DIGITS,
            tuned=True,
        ),
        Study(
            "beta",
            "What weight of L_reg keeps tasks in place and leaves them learnable?",
            ("table 5",),
            ("RA", "erosion"),
            _both(*_each("beta", "1", "0.1", "0.01", "0.001")),
            _DIGITS,
        ),
        Study(
            "gamma",
            "What weight of the noise forgets, and spares what is retained?",
            ("table 6",),
            ("FA", "RA", "spill"),
            _both(*_each("gamma", "0.1", "0.01", "0.001")),
            _DIGITS,
        ),
        Study(
            "annealing",
            "Can later unlearnings be shorter?",
            ("table 7",),
            ("FA", "relapse", "seconds"),
            _both(
                Line("without annealing", "uncle", ("burn_in_decay=1",)),
                Line("with annealing", "uncle"),
            ),
            _IMAGES,
        ),
        Study(
            "noise",
            "Does it matter which noise the generated network is pulled to?",
            ("table 8",),
            ("RA", "FA", "UNI", "MIA_confidence", "seconds"),
            _both(
                Line("Fixed Noise", "uncle", ("noise=fixed",)),
                Line("Norm Reduce", "uncle", ("noise=norm",)),
                Line("Norm Reduce, not squared", "uncle", ("noise=norm-root",)),
                Line("Discard e_f", "uncle", ("noise=discard",)),
                Line("UnCLE", "uncle"),
            ),
            _DIGITS,
        ),
        Study(
            "samples",
            "Does phi shrink with the number of noise samples?",
            ("figure 8",),
            ("RA", "FA", "phi_norm"),
            _both(
                Line("n = 1 (Fixed Noise)", "uncle", ("noise=fixed",)),
                Line("n = 1, drawn anew", "uncle", ("noise_samples=1",)),
                Line("n = 10 (UnCLE)", "uncle"),
                Line("n infinite (norm)", "uncle", ("noise=norm",)),
            ),
            _IMAGES,
        ),
        Study(
            "backbone",
            "Do the findings hold with a smaller main network?",
            ("table 11", "table 12", "table 13"),
            ("RA", "FA"),
            {
                "laptop": _each("width", "8", "16", "32"),
                "paper": tuple(Line(name, name, ("backbone=resnet18",)) for name in BASELINES),
            },
            {"laptop": ("permuted-digits",), "paper": _RESNET18},
        ),
    )
}


def study(name: str) -> Study:
    """The study called `name`. Raises UncleError."""
    if name not in STUDIES:
        raise allowed("study", name, STUDIES)
    return STUDIES[name]


def specs(
    asked: Study,
    preset: str,
    seeds: tuple[int, ...],
    datasets: tuple[str, ...] = (),
    data: Any = None,
) -> list[tuple[Line, RunSpec]]:
    """Each line's run on each data set: the study's, or those asked for. Raises UncleError."""
    if preset not in asked.lines:
        raise allowed("--preset", preset, asked.lines)
    found = []
    for dataset in datasets or asked.datasets[preset]:
        if dataset not in PRESETS:
            raise allowed("data set of a study", dataset, PRESETS)
        for line in asked.lines[preset]:
            more: Any = {"requests": table_4(dataset, asked.seq), "seeds": seeds, "data": data}
            more["source"] = source(asked, dataset, preset, line)
            spec = RunSpec(dataset, line.method, preset, **more)
            found.append((line, spec.changed(*line.changes)))
    return found


def source(asked: Study, dataset: str, preset: str, line: Line) -> str:
    """Whose settings a line has: "tuned" where a study wants them and trials chose them."""
    if not asked.tuned or line.changes or not PRESETS[dataset][preset].trials:
        return "authors"
    try:
        chosen_by_trials(dataset, preset, line.method)
    except UncleError:
        return "authors"  # this method was not tried
    return "tuned"


def papers(asked: Study, line: Line, dataset: str) -> dict[str, float | None]:
    """{metric: what the paper prints of the line}; of permuted digits Permuted-MNIST's.

    {} where it prints nothing of the kind.
    """
    of, value = paper.theirs(dataset), line.changes[0].partition("=")[2] if line.changes else ""
    if asked.name == "beta":
        return {"RA": paper.TABLE_5[of][float(value)]}
    if asked.name == "gamma":
        fa, ra = paper.TABLE_6[of][float(value)]
        return {"FA": fa, "RA": ra}
    if asked.name == "annealing":
        if of not in paper.TABLE_7:
            return {}
        fa, seconds = paper.TABLE_7[of]["without" if line.changes else "with"]
        return {"FA": fa, "seconds": seconds}
    if asked.name == "noise":
        kind = value or "gaussian"
        if kind not in paper.TABLE_8[of]:
            return {}
        ra, fa, uni, mia, seconds = paper.TABLE_8[of][kind]
        # the paper prints minus infinity where None stands
        return {"RA": ra, "FA": fa, "UNI": uni, "MIA_confidence": mia, "seconds": seconds}
    if asked.name == "samples":
        return {}  # a figure without numbers
    if asked.name == "backbone" and value != "resnet18":
        return {}
    found = paper.numbers(of, asked.seq, line.method, resnet18=value == "resnet18")
    told = {metric: getattr(found, metric, None) for metric in asked.metrics} if found else {}
    if "MIA_confidence" in told and line.method in paper.TABLE_9[of]:
        told["MIA_confidence"] = paper.TABLE_9[of][line.method][0]
    return told


def ours(dataset: str, preset: str) -> str:
    """What stands in for the paper's `dataset` in `preset`: on two cores, permuted digits."""
    return "permuted-digits" if (dataset, preset) == ("permuted-mnist", "laptop") else dataset
