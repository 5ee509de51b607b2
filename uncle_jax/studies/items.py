"""Every table and figure of the paper: its runs, what it is said to show, and what tells whether.

A table is a `Study` (studies/catalogue.py) with claims (studies/claims.py). Thresholds are ours
where the paper's words have none, and stand in the claim. No jax.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from uncle_jax.errors import allowed
from uncle_jax.report import paper
from uncle_jax.runs.spec import RunSpec
from uncle_jax.studies.catalogue import STUDIES, Line, Study, ours, specs
from uncle_jax.studies.claims import (
    Claim,
    above,
    all_near,
    best,
    falling,
    near,
    remaining,
    stays,
)

COMPARED = tuple(paper.TABLE_1)  # of Table 1, and of Figures 3, 4, 9 and 10
DIGITS, CIFAR, TINY, FIVE = paper.DATASETS


@dataclass(frozen=True)
class Item:
    """A table or figure of the paper."""

    name: str  # "table 8", "figure 4"
    title: str
    study: Study
    claims: tuple[Claim, ...] = ()
    figure: str = ""  # of `uncle figure`; "": it is a table
    task: int | None = None  # the figure's

    def datasets(self, preset: str) -> tuple[str, ...]:
        """The paper's, or what stands in for them; then those that the study has besides."""
        theirs = [ours(dataset, preset) for dataset in self.study.datasets["paper"]]
        return tuple(dict.fromkeys([*theirs, *self.study.datasets[preset]]))

    def specs(
        self, preset: str, seeds: tuple[int, ...], only: tuple[str, ...] = (), data: Any = None
    ) -> list[tuple[Line, RunSpec]]:
        """Each line's run on each of its data sets, or on those of `only`. Raises UncleError."""
        mine = [one for one in self.datasets(preset) if not only or one in only]
        return specs(self.study, preset, seeds, tuple(mine), data) if mine else []

    def claimed(self, dataset: str) -> list[Claim]:
        """What the paper says of it on its `dataset`."""
        return [one for one in self.claims if not one.datasets or dataset in one.datasets]


def compared(
    name: str,
    question: str,
    methods: Sequence[str],
    metrics: tuple[str, ...],
    datasets: tuple[str, ...],
    seq: int = 1,
    changes: tuple[str, ...] = (),
) -> Study:
    """Methods on a sequence, under the settings that trials chose where there are such."""
    lines = tuple(Line(method, method, changes) for method in methods)
    both, shown = {"laptop": lines, "paper": lines}, {"laptop": (), "paper": datasets}
    return Study(name, question, (name,), metrics, both, shown, seq, tuned=not changes)


FORGETS = Claim(
    "UnCLe forgets to a guess (FA within 2 points of chance)", near("uncle", "FA", 0.0, 2.0)
)
KEEPS = Claim(
    "UnCLe's RA is competitive (within 5 points of each other method's)",
    best("uncle", "RA", less=5.0),
)
SPILLS_LEAST = Claim("UnCLe spills least", best("uncle", "spill", lowest=True))
STAYS = Claim(
    "a task stays until unlearned, is at a guess from then on (each within 5 points)",
    stays("uncle", 5.0),
)
GAINS = Claim(
    "tasks that remain are better where others were unlearned", remaining("UnCLe", "learning only")
)
SATURATION, NOISE, BETA = STUDIES["saturation"], STUDIES["noise"], STUDIES["beta"]


def _full(table: int, dataset: str, seq: int) -> Item:
    """One of Tables 14 to 23."""
    methods = [*paper.MAIN[dataset, seq]]
    name, title = f"table {table}", f"every method on {dataset}, sequence {seq}"
    study = compared(name, title, methods, ("RA", "FA", "spill", "relapse"), (dataset,), seq)
    return Item(name, title, study, (FORGETS, KEEPS))


def _resnet18(table: int, dataset: str) -> Item:
    """One of Tables 11 to 13."""
    methods, changes = [*paper.RESNET18[dataset]], ("backbone=resnet18",)
    name, title = f"table {table}", f"ResNet-18 on {dataset}"
    study = compared(name, title, methods, ("RA", "FA"), (dataset,), changes=changes)
    return Item(name, title, study, (FORGETS, KEEPS))


def _chosen(value: str, *datasets: str) -> Claim:
    """Table 5's choice."""
    words = f"beta = {value} has the highest accuracy"
    return Claim(words, best(f"beta={value}", "RA"), datasets)


def _trajectory(figure: int, dataset: str, task: int | None) -> Item:
    """Figures 3 and 4 (one task), 9 and 10 (all)."""
    which = "every task" if task is None else f"task {task}"
    title = f"{which}, request by request, {dataset}"
    name = f"figure {figure}"
    study = compared(name, title, COMPARED, ("RA", "FA"), (dataset,))
    study = dataclasses.replace(study, datasets={**study.datasets, "laptop": ("permuted-digits",)})
    claim = STAYS if task is None else dataclasses.replace(STAYS, test=stays("uncle", 5.0, task))
    return Item(name, title, study, (claim,), "tasks" if task is None else "task", task)


ITEMS = {
    item.name: item
    for item in (
        Item(
            "table 1",
            "RA and FA of the compared methods",
            compared(
                "table 1", "what is kept, what is left?", COMPARED, ("RA", "FA"), paper.DATASETS
            ),
            (FORGETS, KEEPS),
        ),
        Item(
            "table 2",
            "spill and relapse of the compared methods",
            compared(
                "table 2",
                "what does an unlearning do to others, and does it last?",
                [*paper.TABLE_2],
                ("spill", "relapse"),
                paper.DATASETS,
            ),
            (
                SPILLS_LEAST,
                Claim("UnCLe relapses least", best("uncle", "relapse", lowest=True), (CIFAR,)),
            ),
        ),
        Item(
            "table 3",
            "learning only against UnCLe",
            SATURATION,
            (Claim("unlearning old tasks helps new ones", above("UnCLe", "learning only", "RA")),),
        ),
        Item(
            "table 5",
            "the weight of L_reg",
            BETA,
            (_chosen("0.1", DIGITS, CIFAR), _chosen("0.01", TINY), _chosen("0.001", FIVE)),
        ),
        Item(
            "table 6",
            "the weight of the noise",
            STUDIES["gamma"],
            (
                Claim("gamma = 0.001 leaves more", above("gamma=0.001", "gamma=0.1", "FA")),
                Claim("and keeps more", above("gamma=0.001", "gamma=0.1", "RA")),
            ),
        ),
        Item(
            "table 7",
            "burn-in annealing",
            STUDIES["annealing"],
            (
                Claim(
                    "FA is a guess's with annealing too (within 2 points)",
                    near("with annealing", "FA", 0.0, 2.0),
                ),
                Claim(
                    "annealing makes unlearning shorter",
                    above("without annealing", "with annealing", "seconds"),
                ),
            ),
        ),
        Item(
            "table 8",
            "kinds of noise",
            NOISE,
            (
                Claim("fixed noise hampers what is kept", above("UnCLE", "Fixed Noise", "RA")),
                Claim("norm reduction leaves more", above("Norm Reduce", "UnCLE", "FA")),
                Claim("discarding e_f leaves more", above("Discard e_f", "UnCLE", "FA")),
                Claim("UnCLe's answer is the most uniform", best("UnCLE", "UNI")),
                Claim("UnCLe's MIA is 50 (within 1)", near("UnCLE", "MIA_confidence", 50.0, 1.0)),
            ),
        ),
        Item(
            "table 9",
            "membership inference after unlearning",
            compared(
                "table 9",
                "does confidence tell members of what was unlearned?",
                [*paper.TABLE_9[DIGITS]],
                ("MIA_confidence",),
                paper.DATASETS,
            ),
            (
                Claim(
                    "every method is at about 50 (within 5)", all_near("MIA_confidence", 50.0, 5.0)
                ),
                Claim("UnCLe is at 50 (within 1)", near("uncle", "MIA_confidence", 50.0, 1.0)),
            ),
        ),
        Item(
            "table 10",
            "seconds of an unlearning",
            compared(
                "table 10", "what does one cost?", [*paper.TABLE_10], ("seconds",), paper.DATASETS
            ),
            # the paper's own numbers say no more of UnCLe than that it is not the slowest
            (Claim("UnCLe is quicker than SalUn", above("salun", "uncle", "seconds")),),
        ),
        _resnet18(11, FIVE),
        _resnet18(12, CIFAR),
        _resnet18(13, TINY),
        *(_full(13 + seq, DIGITS, seq) for seq in (1, 2, 3)),
        *(_full(16 + seq, FIVE, seq) for seq in (1, 2, 3)),
        *(_full(19 + seq, CIFAR, seq) for seq in (1, 2, 3)),
        _full(23, TINY, 1),
        _trajectory(3, TINY, 0),
        _trajectory(4, CIFAR, 0),
        Item(
            "figure 5",
            "tasks that remain, tinyimagenet",
            dataclasses.replace(SATURATION, datasets={"laptop": (), "paper": (TINY,)}),
            (GAINS,),
            "remaining",
        ),
        Item(
            "figure 6",
            "the networks",
            compared("figure 6", "which networks are there?", ["uncle"], (), (TINY,)),
            figure="schematic",
        ),
        Item(
            "figure 7",
            "tasks that remain, every data set",
            SATURATION,
            (GAINS,),
            "remaining",
        ),
        Item(
            "figure 8",
            "phi's size by the number of noise samples",
            STUDIES["samples"],
            (
                Claim(
                    "phi is the smaller the more samples are drawn",
                    falling(
                        ("n = 1 (Fixed Noise)", "n = 10 (UnCLE)", "n infinite (norm)"), "phi_norm"
                    ),
                ),
            ),
            "magnitude",
        ),
        _trajectory(9, CIFAR, None),
        _trajectory(10, TINY, None),
    )
}


def chosen(only: str | None) -> list[Item]:
    """The items that `only` names, such as "table2,figure 8"; None: all. Raises UncleError."""
    if only is None:
        return [*ITEMS.values()]
    known = {name.replace(" ", ""): item for name, item in ITEMS.items()}
    found = []
    for word in filter(None, (part.strip().replace(" ", "").lower() for part in only.split(","))):
        if word not in known:
            raise allowed("table or figure", word, known)
        found.append(known[word])
    if not found:
        raise allowed("table or figure", only, known)
    return found
