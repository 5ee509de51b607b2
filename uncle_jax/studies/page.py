"""The page of `uncle reproduce`: the paper's numbers and ours, and which of its claims hold here.

Markdown, a function of finished runs alone: no clock, no machine. No jax.
"""

import os
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path

from uncle_jax.report.compare import Table
from uncle_jax.report.formats import as_markdown
from uncle_jax.studies.claims import NOT_RUN
from uncle_jax.studies.cost import in_words, minutes
from uncle_jax.studies.items import Item
from uncle_jax.studies.progress import Asked, Part
from uncle_jax.studies.table import table_of

Drawn = Mapping[tuple[str, str], Path | str]
"""By item and data set: where its picture is, or why there is none."""

HEAD = """# The paper's tables and figures, made here

Written by `uncle reproduce` from the files of finished runs: what the paper prints, what came here
(mean and sample standard deviation over seeds), and whether what the paper says of it holds here.
{setting}

A claim on a difference holds where its 95 % interval over seeds (paired, Student's t) is on the
claimed side of 0; it does not where it is on the other side; otherwise it is not told from noise,
and one seed tells nothing. Intervals stand in brackets. A claim to be the best is corrected for the
number of methods (Holm); claims are not corrected for each other. Thresholds in points are ours.
"""
SETTINGS = {
    "laptop": "The preset is `laptop`: a thin ResNet, small images, few epochs, so orderings can\n"
    "be compared, not levels; permuted digits stand in for Permuted-MNIST.",
    "paper": "The preset is `paper`: its networks, images and epochs.",
}


def page(of: Sequence[Part], asked: Asked, drawn: Drawn, at: Path) -> str:
    """The whole page; pictures are linked from where it is, `at`."""
    made = [HEAD.format(setting=SETTINGS[asked.preset]), as_markdown(overview(of, asked.preset))]
    for _, group in groupby(of, key=lambda part: part.item.name):
        made.append(section([*group], asked, drawn, at))
    return "\n".join(made)


def overview(of: Sequence[Part], preset: str) -> Table:
    """A claim a row, and a row for what is not run or has no claim."""
    body = []
    for part in of:
        place = [part.item.name, part.dataset]
        done = "{} of {}".format(*part.done)
        cost = in_words(minutes(part.left))
        open_ = [words for words, told in part.told if told.verdict == NOT_RUN]
        for words, told in part.told:
            if told.verdict != NOT_RUN:
                body.append([*place, words, told.verdict, told.words, done, cost])
        if open_ or not part.run:
            body.append([*place, "; ".join(open_) or part.item.title, NOT_RUN, "", done, cost])
        elif not part.told:
            body.append([*place, part.item.title, "no claim", "", done, cost])
    marked = {(i, 3) for i, row in enumerate(body) if row[3] != NOT_RUN}
    head = ["what", "data", "the paper's claim", "here", "figures", "runs", "left"]
    notes = [
        "runs: seeds finished, of those asked for",
        "left: what the others would take on two cores, about (of a GPU nothing is known here)",
    ]
    return Table(f"In short, preset {preset}", head, body, marked, notes)


def section(of: Sequence[Part], asked: Asked, drawn: Drawn, at: Path) -> str:
    """An item: its table, its pictures, and what makes the rest."""
    item = of[0].item
    made = [f"## {item.name.capitalize()}: {item.title}", ""]
    there = [part for part in of if part.run]
    if item.study.metrics and there:
        lines = [line for part in there for line in part.lines]
        text = as_markdown(table_of(item.study, lines, asked.preset))
        made += [text.partition("\n\n")[2]]  # without its heading
    for part in there:
        place = drawn.get((item.name, part.dataset))
        if isinstance(place, str):
            made += [f"No picture of {part.dataset}: {place}.", ""]
        elif place is not None:
            link = Path(os.path.relpath(place, at.parent)).as_posix()
            made += [f"![{item.title}, {part.dataset}]({link})", ""]
    for part in of:
        made += [_rest(part, asked), ""]
    return "\n".join(made)


def _rest(part: Part, asked: Asked) -> str:
    done, wanted = part.done
    told = f"{part.dataset}: {done} of {wanted} runs"
    if part.left:
        told += f"; the others take about {in_words(minutes(part.left))}"
    return f"{told}: `{command(part.item, asked, part.dataset)}`"


def command(item: Item, asked: Asked, dataset: str = "") -> str:
    """What runs it."""
    words = ["uncle reproduce --only", item.name.replace(" ", "")]
    words += [] if asked.preset == "laptop" else ["--preset", asked.preset]
    return " ".join([*words, *(["--datasets", dataset] if dataset else [])])
