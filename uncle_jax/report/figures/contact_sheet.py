"""A picture of own data, so that a look tells whether they were read as they were meant."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from uncle_jax.report.figures.drawing import blank, save
from uncle_jax.tasks import Data

CONTACT_TASKS, CONTACT_CLASSES, CONTACT_IMAGES = 20, 10, 2  # the most that are shown
Example = tuple[str, np.ndarray]  # a class's name, an image [H, W, 1 or 3] of it


def examples(data: Data, names: Sequence[str] | None = None) -> list[Example]:
    """The first images of each of a task's first classes, with the class's name or number."""
    labels, found = np.asarray(data.labels), []
    for label in np.unique(labels)[:CONTACT_CLASSES]:
        name = str(names[label]) if names is not None else f"class {label}"
        for index in np.flatnonzero(labels == label)[:CONTACT_IMAGES]:
            found.append((name, np.asarray(data.images[index])))
    return found


def plot_contact_sheet(path: Path, rows: Mapping[str, Sequence[Example]], title: str) -> None:
    """Write the PNG `path`: a row of images for each of `rows`; white is 255, or 1 of floats."""
    columns = max(map(len, rows.values()))
    figure = blank(1.2 + 0.8 * columns, 0.6 + 1.05 * len(rows))
    grid: Any = figure.subplots(len(rows), columns, squeeze=False)
    for line, (name, images) in zip(grid, rows.items(), strict=True):
        for axes in line:
            axes.axis("off")
        for axes, (label, image) in zip(line, images, strict=False):
            top = 255 if image.dtype == np.uint8 else 1
            shown = np.clip(image.astype(np.float32) / top, 0, 1)
            shown = np.repeat(shown, 3 // shown.shape[-1], axis=-1)
            axes.imshow(shown, interpolation="nearest")
            axes.set_title(_plain(label), fontsize=6)
        line[0].text(-0.15, 0.5, name, transform=line[0].transAxes, ha="right", va="center")
    figure.suptitle(_plain(title), fontsize=8)
    save(figure, path)


def _plain(text: str) -> str:
    """`text` in letters that the picture's font has, without its markup, and short."""
    short = text if len(text) <= 60 else text[:57] + "..."
    return "".join(c if ord(c) < 0x250 and c.isprintable() else "?" for c in short).replace(
        "$", r"\$"
    )
