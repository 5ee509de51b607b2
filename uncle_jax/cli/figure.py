"""Draw a figure of finished runs, from their files alone.

uncle figure task runs/* --task 0          one task through every method: the paper's Figures 3, 4
uncle figure tasks runs/*                  every task through every method: Figures 9 and 10
uncle figure remaining runs/A runs/B       what remains, in the end: Figures 5 and 7
uncle figure magnitude runs/*              the size of phi after each request: Figure 8
uncle figure schematic runs/A              the networks: Figure 6
uncle figure erosion runs/*                how far learned tasks fall as requests go by
uncle figure worst runs/*                  the lowest of what is retained as requests go by
uncle figure cost benchmarks/results/retained_cpu.json    what a step costs by tasks retained

Runs answer the same requests on the same data. FILE's name says the format: .png, .pdf, .svg.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from uncle_jax.cli.arguments import Parser, completing, exit_code, parsed
from uncle_jax.cli.table import finished_runs
from uncle_jax.errors import UncleError, allowed
from uncle_jax.files import require_writable
from uncle_jax.report.compare import Group, groups
from uncle_jax.report.figures.drawing import WIDTHS
from uncle_jax.report.results import read_json
from uncle_jax.requests import parse

FIGURES = ("task", "tasks", "remaining", "magnitude", "schematic", "erosion", "worst", "cost")
NETWORKS = {"resnet18": "ResNet-18", "resnet50": "ResNet-50", "thin": "thin ResNet", "vit": "ViT"}


def parser() -> Parser:
    """The options of `uncle figure`."""
    p = Parser(prog="uncle figure", description=__doc__)
    name = p.add_argument("name", metavar="NAME", help=", ".join(FIGURES))
    completing(name, FIGURES)
    p.add_argument(
        "workdirs", type=Path, nargs="+", metavar="WORKDIR", help="uncle run's --workdir"
    )
    p.add_argument("--task", type=int, help="task: which; default: the first unlearned")
    width = p.add_argument("--width", default="page", help="column or page, of a paper")
    completing(width, WIDTHS)
    p.add_argument("--output", type=Path, metavar="FILE", help="default: NAME.png")
    return p


def main(argv: list[str] | None = None) -> int:
    """`uncle figure`: the exit code."""
    args = parsed(parser(), argv)
    return exit_code(lambda: draw(args), "nothing is written", argv is None)


def draw(args: argparse.Namespace) -> int:
    """Draw it, and say where."""
    if args.name not in FIGURES:
        raise allowed("figure", args.name, FIGURES)
    if args.width not in WIDTHS:
        raise allowed("--width", args.width, WIDTHS)
    if args.task is not None and args.name != "task":
        raise UncleError(f"--task is of the figure 'task', not of {args.name!r}")
    output = args.output or Path(f"{args.name}.png")
    require_writable(output, "--output")
    if args.name == "cost":
        _cost(args, output)
    else:
        group = _only(groups(finished_runs(args.workdirs)))
        draw_group(args.name, output, group, args.task, args.width)
    print(f"written to {output}")
    return 0


def _cost(args: argparse.Namespace, output: Path) -> None:
    """Of one benchmark's file, not of runs. Raises UncleError."""
    from uncle_jax.report.figures.cost import costs, plot_cost

    if len(args.workdirs) > 1:
        raise UncleError(f"cost is drawn of one benchmark's file, not of {len(args.workdirs)}")
    read = read_json(args.workdirs[0])
    if read is None:
        raise UncleError(f"there is no file {args.workdirs[0]}")
    plot_cost(output, costs(read), args.width)


def _only(found: Sequence[Group]) -> Group:
    """The one group that there is. Raises UncleError."""
    if not found:
        raise UncleError("no run is finished yet")
    if len(found) > 1:
        told = "; ".join(group.title for group in found)
        raise UncleError(f"a figure is of runs that can be compared; these are {told}")
    return found[0]


def draw_group(
    name: str, output: Path, group: Group, task: int | None = None, width: str = "page"
) -> None:
    """Draw the figure `name` of a group's rows; `task`: of the figure "task". Raises UncleError."""
    from uncle_jax.report.figures import methods, over_time, remaining

    if name == "task":
        asked = parse(group.requests)
        unlearned = [one.task for one in asked if one.op == "U"]
        first = unlearned[0] if unlearned else asked[0].task
        methods.plot_task(output, group, first if task is None else task, width)
    elif name == "schematic":
        _schematic(output, group)
    else:
        drawn: dict[str, Any] = {
            "tasks": methods.plot_tasks,
            "remaining": remaining.plot_remaining,
            "magnitude": over_time.plot_magnitude,
            "erosion": over_time.plot_erosion,
            "worst": over_time.plot_worst,
        }
        drawn[name](output, group, width=width)


def _schematic(output: Path, group: Group) -> None:
    """Of the first row that a hypernetwork is of. Raises UncleError if none is."""
    from uncle_jax.report.figures.schematic import plot_schematic

    for row in group.rows:
        told = row.runs[0].told
        own = told.get("settings") or {}
        if "trunk" in own:
            backbone = str(told["config"]["backbone"])
            network = NETWORKS.get(backbone, backbone)
            plot_schematic(output, own["embedding"], own["chunks"], own["trunk"], network)
            return
    raise UncleError("the schematic is of a hypernetwork, and none of these runs has one")
