"""The paper's Figure 6, drawn for this implementation: from embeddings to an image's answer."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from uncle_jax.report.figures.drawing import FONT, WIDTHS, blank, save

HEADS = ("weight head", "norm head", "residual head")  # core/layout.KINDS
FILLS = {"learned": "#cfe3f3", "shared": "#f8dcc4", "generated": "#d5ecdf", "data": "#eeeeee"}


def plot_schematic(
    path: Path, embedding: int, chunks: int, trunk: Sequence[int], network: str
) -> None:
    """Task and chunk embeddings, the trunk and its heads, theta, the ResNet, an image's answer.

    `embedding`: its size; `chunks`: how many; `trunk`: its layers' sizes; `network`: the main
    network's name. Blue is learned for each task, orange shared by all, green generated.
    """
    inches = WIDTHS["page"]
    figure = blank(inches, 2.5)
    axes = figure.subplots()
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 37)
    axes.set_axis_off()
    sizes = "-".join(str(size) for size in trunk)
    _box(axes, (1, 22, 16, 9), f"task embedding\n$e_t$, {embedding} numbers", "learned")
    _box(
        axes,
        (1, 7, 16, 11),
        f"chunk embeddings\n$c_1$ ... $c_{{{chunks}}}$\nlearned once",
        "shared",
    )
    _box(
        axes,
        (24, 9, 17, 19),
        f"hypernetwork $\\phi$\ntrunk\n{sizes}\nReLU, for\neach chunk",
        "shared",
    )
    for i, name in enumerate(HEADS):
        y = 24 - 8.5 * i
        _box(axes, (47, y, 14, 6), name, "shared")
        _arrow(axes, (41, 18.5), (47, y + 3))
        _arrow(axes, (61, y + 3), (66, 18.5))
    _box(axes, (66, 11, 13, 15), "parameters\n$\\theta_t$\nfrom the\nchunks", "generated")
    _box(axes, (84, 13, 14, 11), f"{network}\n$F(x; \\theta_t)$", "generated")
    _box(axes, (84, 29, 14, 5), "image $x$", "data")
    _box(axes, (84, 2, 14, 6), "answer $\\hat{y}$\nof task $t$", "data")
    _arrow(axes, (17, 26.5), (24, 21))
    _arrow(axes, (17, 12.5), (24, 16))
    _arrow(axes, (79, 18.5), (84, 18.5))
    _arrow(axes, (91, 29), (91, 24))
    _arrow(axes, (91, 13), (91, 8))
    save(figure, path, dpi=200)


def _box(axes: Any, place: tuple[float, float, float, float], words: str, kind: str) -> None:
    from matplotlib.patches import FancyBboxPatch

    x, y, w, h = place
    axes.add_patch(
        FancyBboxPatch((x, y), w, h, boxstyle="round,pad=0,rounding_size=0.8",
                       facecolor=FILLS[kind], edgecolor="black", linewidth=0.7)
    )  # fmt: skip
    axes.text(x + w / 2, y + h / 2, words, ha="center", va="center", fontsize=FONT)


def _arrow(axes: Any, start: tuple[float, float], end: tuple[float, float]) -> None:
    how = {"arrowstyle": "-|>", "lw": 0.7, "color": "black", "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=how)
