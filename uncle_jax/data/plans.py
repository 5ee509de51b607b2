"""Which classes make a task: so many at a time, or as a JSON file lists them."""

import json
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from uncle_jax.errors import UncleError

Tasks = Sequence[Sequence[str]]  # class names of each task


def task_plan(names: list[str], classes_per_task: int, tasks: Tasks | None) -> list[list[str]]:
    """Class names of each task: as `tasks` lists them, or so many of `names` at a time."""
    if tasks is None:
        if classes_per_task < 2:
            raise UncleError(f"--classes-per-task must be 2 or more, not {classes_per_task}")
        starts = range(0, len(names), classes_per_task)
        plan = [names[start : start + classes_per_task] for start in starts]
        if len(plan[-1]) < 2:
            raise UncleError(
                f"{len(names)} classes in tasks of {classes_per_task} leave a task with a single "
                "class; choose another --classes-per-task, or list the tasks with --tasks"
            )
        return plan
    tasks = [[unicodedata.normalize("NFC", name) for name in classes] for classes in tasks]
    for index, classes in enumerate(tasks):
        unknown = set(classes) - set(names)
        if unknown:
            raise UncleError(
                f"task {index} lists the unknown class {sorted(unknown)[0]!r} "
                f"(allowed: {', '.join(names[:20])}{', ...' if len(names) > 20 else ''})"
            )
        if len(set(classes)) < len(classes) or len(classes) < 2:
            raise UncleError(f"task {index} must list two classes or more, each once")
    return [list(classes) for classes in tasks]


def read_tasks(path: Path) -> list[list[str]]:
    """The JSON file of --tasks: a list that holds, for each task, the list of its class names."""
    try:
        tasks = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UncleError(f"cannot read --tasks {path} ({error})") from None
    lists = isinstance(tasks, list) and tasks and all(isinstance(task, list) for task in tasks)
    if not lists or not all(isinstance(name, str) for task in tasks for name in task):
        raise UncleError(f'--tasks {path} must hold lists of class names: [["cat", "dog"], ...]')
    return tasks


def unused(names: Sequence[str], plan: Tasks) -> tuple[str, ...]:
    """A remark on the classes that no task has, or none."""
    listed = {name for task in plan for name in task}
    names = [name for name in names if name not in listed]
    more = ", ..." if len(names) > 5 else ""
    told = f"left out: {len(names)} classes that --tasks does not list"
    return (f"{told} ({', '.join(names[:5])}{more})",) if names else ()
