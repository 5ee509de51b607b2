"""What figures share: sizes of a paper's columns, lines told apart in grey, whole files."""

import io
import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from uncle_jax.errors import UncleError
from uncle_jax.files import write_whole
from uncle_jax.report.compare import Row
from uncle_jax.report.figures.hover import titled

WIDTHS = {"column": 3.25, "page": 6.75}  # inches, of a paper in two columns
COLOURS = (  # Okabe and Ito's, by which the colour-blind tell them apart; yellow is too light
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#7f7f7f",
)  # fmt: skip
DASHES = ("-", (0, (4, 1.5)), (0, (1, 1)), (0, (5, 1, 1, 1)))
MARKERS = "sD^vP<X>*hp"  # a disc is UnCLe's
FONT = 7.0  # points
LEAST = 4.5  # of letters that can still be read


class Style(NamedTuple):
    """How a line looks."""

    color: Any
    linestyle: Any
    marker: str
    width: float = 1.0

    def line(self) -> dict[str, Any]:
        """For `Axes.plot`."""
        look = {"color": self.color, "ls": self.linestyle, "marker": self.marker}
        return look | {"ms": 3, "lw": self.width}


OURS = Style("black", "-", "o", 1.6)


def styles(rows: Sequence[Row]) -> list[Style]:
    """A style for each row, UnCLe's first one black and thick; all others differ in markers too."""
    first = next((i for i, row in enumerate(rows) if row.method == "uncle"), None)
    return styles_of(len(rows), first)


def styles_of(count: int, ours: int | None = None) -> list[Style]:
    """So many styles, that at `ours` black and thick; up to 28 differ as colours and dashes."""
    looks = ((colour, dashes) for dashes in DASHES for colour in COLOURS)
    pairs = zip(itertools.cycle(looks), itertools.cycle(MARKERS), strict=False)
    others = (Style(*look, marker) for look, marker in pairs)
    return [OURS if i == ours else next(others) for i in range(count)]


def blank(width: float, height: float) -> Any:
    """An empty figure of so many inches, without a window."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def request_ticks(axes: Any, requests: Sequence[Any], inches: float) -> None:
    """The requests along x, upright where they would touch, and not all where there is no room."""
    points = 72 * inches / max(len(requests), 1)  # of room for each
    size = min(FONT, 0.9 * points)
    every = 1
    while size < LEAST:
        every += 1
        size = min(FONT, 0.9 * points * every)
    flat = points > 0.75 * FONT * max(len(str(request)) for request in requests)
    at = range(0, len(requests), every)
    names = [str(requests[i]) for i in at]
    axes.set_xticks(at, names, rotation=0 if flat else 90, fontsize=size)
    axes.set_xlim(-0.5, len(requests) - 0.5)


def legend_height(labels: Sequence[str], inches: float) -> float:
    """Inches that `named` takes below a figure of so many inches of width."""
    return 0.08 + 1.75 * FONT / 72 * -(-len(labels) // _columns(labels, inches))


def named(figure: Any, handles: Iterable[Any], labels: Sequence[str], inches: float) -> None:
    """A legend below the figure, of as many columns as have room."""
    figure.legend(
        list(handles), labels, loc="outside lower center", ncols=_columns(labels, inches),
        fontsize=FONT, frameon=False, handlelength=2.6, columnspacing=1.0, labelspacing=0.4,
    )  # fmt: skip


def _columns(labels: Sequence[str], inches: float) -> int:
    longest = max(map(len, labels), default=1)
    return max(1, min(len(labels), int(72 * inches / (0.6 * FONT * longest + 32))))


def save(figure: Any, path: Path, dpi: int = 120) -> None:
    """Write a figure to `path`, in the format that its name says, whole or not at all.

    Raises UncleError.
    """
    from matplotlib import rc_context

    drawn, form = io.BytesIO(), path.suffix[1:] or "png"
    # letters that publishers and readers can take
    letters: Any = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": path.stem}
    try:
        with rc_context(letters):
            metadata = {"Date": None} if form == "svg" else None
            figure.savefig(drawn, dpi=dpi, format=form, metadata=metadata)
    except ValueError as error:  # of a format that there is not
        raise UncleError(f"cannot write {path} ({error})") from None
    made = drawn.getvalue()
    write_whole(path, titled(made.decode("utf-8")) if form == "svg" else made)
