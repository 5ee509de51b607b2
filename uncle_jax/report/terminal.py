"""What a run shows a person: a line per request, the final table, the picture."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # it computes metrics, by numpy
    from uncle_jax.evaluation.answers import Answer

HEADINGS = {
    "RA": "RA  retained tasks, higher is better",
    "FA": "FA  unlearned tasks, best at chance",
    "spill": "spill  retained tasks' change at U",
    "spill_sum": "spill_sum  the same, summed",
    "relapse": "relapse  unlearned tasks' change since U",
    "relapse_signed": "relapse_signed  the same, with sign",
    "erosion": "erosion  retained tasks' loss since learned",
    "fall_worst": "fall_worst  most a task lost while retained",
    "FA_class": "FA_class  unlearned classes, best at 0",
    "fall_class": "fall_class  their tasks' other classes lost",
}
ALWAYS = ("RA", "FA", "spill", "spill_sum", "relapse", "relapse_signed", "erosion")


def request_line(answer: "Answer", n_requests: int, n_tasks: int) -> str:
    """One line on an answered request: all tasks' accuracies, "." for those not seen yet."""
    cells = [
        f"{answer.accuracy[task]:5.1f}" if task in answer.accuracy else "    ."
        for task in range(n_tasks)
    ]
    place = f"[{answer.index + 1:>{len(str(n_requests))}}/{n_requests}]"
    return f"{place} {answer.request!s:<4} {answer.seconds:6.1f} s  {' '.join(cells)}"


def header_line(n_requests: int, n_tasks: int) -> str:
    """The heading over `request_line`s."""
    pad = " " * (2 * len(str(n_requests)) + 3)
    return f"{pad} {'':<4} {'time':>8}  " + " ".join(f"{task:>5}" for task in range(n_tasks))


def fall_line(task: int, then: float, now: float) -> str:
    """That a retained task has lost accuracy since it was learned."""
    lost = then - now
    return (
        f"warning: task {task} is retained and has lost {lost:.1f} points ({then:.1f}, {now:.1f})"
    )


def room_line(method: str, settings: Any, most: int) -> str:
    """That heads which are solved for cannot hold `most` tasks, or nothing if they can.

    `settings`: the method's own. With five times too little room `refit` ends at chance, and
    `hold=solved` learns new tasks ten points lower (docs/streams.md).
    """
    solved = method == "refit" or getattr(settings, "hold", "drift") == "solved"
    if not solved or most <= settings.room:
        return ""
    return (
        f"warning: {method}'s heads have room for {settings.room} of the {most} tasks that may be "
        f"retained at once, so those will not stay what they are ({with_room(settings, most)} has "
        "room for all, and may want a lower --lr)"
    )


def with_room(settings: Any, most: int) -> str:
    """The option that gives a hypernetwork with `settings` room for `most` tasks."""
    return f"--set trunk={','.join(map(str, (*settings.trunk[:-1], most * settings.chunks)))}"


def table(summary: Mapping[str, Any], paper: Mapping[str, float] | None) -> str:
    """The final table: metrics over seeds, with the paper's beside them where there are any.

    Metrics that any sequence can have are always there, the others where they are defined.
    `summary` is summary.json's: metrics, times, `chance` of RA and of FA in per cent (None: not
    known) and `remarks` on the data.
    """
    lines = [f"{'in percentage points':<44} {'ours':>15}" + (f" {'paper':>8}" if paper else "")]
    for name, heading in HEADINGS.items():
        mean, std = (summary.get(name, {}).get(key) for key in ("mean", "std"))
        if mean is None and name not in ALWAYS:
            continue
        ours = "-" if mean is None else f"{mean:.2f} ± {std:.2f}"
        theirs = f" {paper[name]:8.2f}" if paper and name in paper else ""
        lines.append(f"{heading:<44} {ours:>15}{theirs}")
    seeds = summary["RA"]["per_seed"]
    times = ", ".join(
        f"{name} {summary[key]:.1f} s"
        for name, key in (
            ("learn", "learn_seconds"),
            ("unlearn", "unlearn_seconds"),
            ("compile", "compile_seconds"),
            ("all", "wall_seconds"),
        )
        if summary[key] is not None
    )
    chance = chance_in_words(summary["chance"]["RA"], summary["chance"]["FA"])
    lines.append(f"seeds {', '.join(seeds)}; {chance}; {times}")
    lines += [f"note: {remark}" for remark in summary["remarks"]]
    return "\n".join(lines)


def chance_in_words(retained: float | None, unlearned: float | None) -> str:
    """What a guess is worth on retained and on unlearned tasks, in per cent."""
    known = [f"{value:.1f}" for value in (retained, unlearned) if value is not None]
    if not known:
        return "chance not known"
    if len(set(known)) == 1:
        return f"chance {known[0]}"
    return f"chance {known[0]} of the retained tasks, {known[1]} of the unlearned"
