"""What is asked, in which order: learn and unlearn requests and the sequences of Table 4."""

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from uncle_jax.errors import UncleError, allowed

Op = Literal["L", "U", "C"]
MOST = 100_000  # tasks that a learner has room for


class Request(NamedTuple):
    """One request: to learn (`op` "L") or unlearn ("U") task id `task`, or classes of it ("C").

    As text "L3", "U3" and "U3:7"; "U3:7+8" are two classes, and "L3-7" learns all but class 7.
    """

    op: Op
    task: int
    classes: tuple[int, ...] = ()  # "C": that are unlearned; "L": that are not learned

    def __str__(self) -> str:
        classes = "+".join(map(str, self.classes))
        sign = ("-" if self.op == "L" else ":") if classes else ""
        return f"{'L' if self.op == 'L' else 'U'}{self.task}{sign}{classes}"


# Table 4 of the paper; permuted-digits follows permuted-mnist.
_FIVE_TASKS = (
    "L0 L1 U0 L2 L3 L4 U1",
    "L3 L4 L2 L0 L1 U3 U0",
    "L0 L2 U0 L4 L3 U2 U4",
)
_TEN_TASKS = (
    "L1 L0 U1 L5 L8 L9 L7 U0 L2 L3 L4 U8 U3 U5 L6",
    "L6 L7 L2 L1 L0 U1 L9 U7 U2 U0 L4 U4 L8 U6 L5",
    "L7 L1 L2 L8 L0 U1 L3 L6 U3 U2 L4 L5 U8 L9 U7",
)
_TWENTY_TASKS = (
    "L3 L0 U3 L9 L5 L17 L1 L7 L14 L15 L19 U17 U7 L6 U15 U9 L12 L4 U5 U4 U6 U0 U1 U14 U12 L13 L18 "
    "L2 L11 L8",
    "L12 L13 L5 L8 L2 U8 L14 U13 U5 U2 L3 U3 L16 U12 L11 U16 L7 L15 L10 L19 L9 U14 U7 L18 L6 L1 L0 "
    "L4 U6 L17",
    "L2 L7 U2 L18 L12 U7 U18 L16 L0 U16 U0 L13 L4 U12 U13 L9 L19 U19 U4 L10 L14 L5 U5 U10 L11 L1 "
    "U1 L17 L6 L3",
)
TABLE_4: dict[str, tuple[str, str, str]] = {
    "permuted-digits": _TEN_TASKS,
    "permuted-mnist": _TEN_TASKS,
    "cifar100": _TEN_TASKS,
    "five-tasks": _FIVE_TASKS,
    "tinyimagenet": _TWENTY_TASKS,
}


def table_4(dataset: str, seq: int) -> tuple[Request, ...]:
    """The paper's sequence `seq` (1, 2 or 3) for `dataset`. Raises UncleError on either."""
    if dataset not in TABLE_4:
        raise allowed("dataset for a sequence of Table 4", dataset, TABLE_4)
    if seq not in (1, 2, 3):
        raise allowed("sequence", seq, (1, 2, 3))
    return parse(TABLE_4[dataset][seq - 1])


ID = r"\d{1,6}"
IDS = rf"{ID}(?:\+{ID})*"


def parse(text: str) -> tuple[Request, ...]:
    """Requests from text such as "L0 L1 U0" (spaces, commas or arrows between them)."""
    words = [word for word in re.split(r"[\s,]+|->|→", text) if word]
    if not words:
        raise UncleError('--requests is empty (allowed: words such as "L0 L1 U0")')
    requests = []
    for word in words:
        match = re.fullmatch(f"(?:L({ID})(?:-({IDS}))?)|(?:U({ID})(?::({IDS}))?)", word.upper())
        if not match:
            raise UncleError(
                f"malformed request {word!r} (allowed: L or U and a task id, as in L0 L1 U0; "
                "U0:7 to unlearn class 7 of it, L0-7 to learn all but that)"
            )
        learned, without, unlearned, of = match.groups()
        classes = tuple(sorted({int(c) for c in (without or of or "").split("+") if c}))
        op: Op = "L" if learned else "C" if classes else "U"
        requests.append(Request(op, int(learned or unlearned), classes))
    return tuple(requests)


def request_of(entry: Mapping[str, Any]) -> Request:
    """What a ledger's entry answered."""
    return Request(entry["op"], entry["task"], tuple(entry.get("classes", ())))


class Stream(NamedTuple):
    """A random stream of requests: how long a learner lives, and what is asked of it."""

    n: int  # requests
    unlearn: float = 0.4  # how often one is to unlearn, where both are possible
    seed: int = 0
    relearn: bool = True  # unlearned tasks are learned again; else a stream ends without new ones
    retained: int | None = None  # so many tasks at most at a time; None: all

    @property
    def name(self) -> str:
        """As folders have it: its length, and what is not the default."""
        usual = Stream(self.n)._asdict()
        differ = [f"{k}{v}" for k, v in self._asdict().items() if v != usual[k]]
        return "-".join([f"stream{self.n}", *differ])


def stream(of: Stream, n_tasks: int) -> tuple[Request, ...]:
    """Requests drawn by a seed: each can be answered, and tasks are chosen evenly.

    Raises UncleError if there are fewer tasks than that.
    """
    if of.n < 1 or not 0 <= of.unlearn <= 1:
        raise UncleError(
            f"a stream needs 1 request or more and unlearn from 0 to 1, not {of.n} and {of.unlearn}"
        )
    rng = random.Random(of.seed)
    most = n_tasks if of.retained is None else min(of.retained, n_tasks)
    if most < 1:
        raise UncleError(f"a stream needs retained to be 1 or more, not {of.retained}")
    kept, new, result = list[int](), [*range(n_tasks)], list[Request]()
    for _ in range(of.n):
        able = bool(new) and len(kept) < most
        if not able and not kept:
            raise UncleError(
                f"a stream of {of.n} without relearning needs more than {n_tasks} tasks: it ended "
                f"after {len(result)} requests"
            )
        if kept and (not able or rng.random() < of.unlearn):
            task = kept.pop(rng.randrange(len(kept)))
            new += [task] if of.relearn else []
            result.append(Request("U", task))
        else:
            task = new.pop(rng.randrange(len(new)))
            kept.append(task)
            result.append(Request("L", task))
    return tuple(result)


def parse_stream(text: str) -> Stream:
    """A `Stream` from text such as "200" or "200,unlearn=0.5,seed=1,relearn=no,retained=6"."""
    form = "N, or N,unlearn=SHARE,seed=SEED,relearn=yes|no,retained=MOST"
    first, *others = (word.strip() for word in text.split(","))
    kinds = {"unlearn": float, "seed": int, "retained": int, "relearn": _yes_or_no}
    found: dict[str, Any] = {}
    try:
        n = int(first)
        for word in others:
            key, _, value = word.partition("=")
            found[key] = kinds[key](value)
    except (ValueError, KeyError):
        raise UncleError(f"--stream {text!r} is not {form}") from None
    return Stream(n, **found)


def _yes_or_no(word: str) -> bool:
    return ("no", "yes").index(word) == 1


MANY = 40  # requests: more are not all printed


def in_short(requests: Sequence[object]) -> str:
    """Requests as people read them: of a long stream its first ones, its last, and how many."""
    told = list(map(str, requests))
    if len(told) <= MANY:
        return " ".join(told)
    return " ".join([*told[:10], "...", *told[-2:], f"({len(told)} requests)"])


def validate(
    requests: Iterable[Request], n_tasks: int, n_classes: Callable[[int], int] | None = None
) -> None:
    """Raise UncleError unless every request can be answered in this order.

    A task is learned before it is unlearned, and not learned twice without an unlearning between;
    it may be learned again afterwards. Ids run from 0 to n_tasks - 1, and a task's classes from 0
    to n_classes(task) - 1; one of them stays.
    """
    learned = dict[int, set[int]]()  # task -> classes that it lacks
    for position, request in enumerate(requests):
        op, task, classes = request
        where = f"request {position} ({request})"
        if not 0 <= task < n_tasks:
            raise UncleError(f"{where}: unknown task {task} (allowed: 0 to {n_tasks - 1})")
        if op == "L" and task in learned:
            raise UncleError(f"{where}: task {task} is already learned (unlearn it first: U{task})")
        if op != "L" and task not in learned:
            raise UncleError(
                f"{where}: task {task} is not learned at this point, so it cannot be unlearned "
                f"(learned here: {', '.join(map(str, sorted(learned))) or 'none'})"
            )
        lacking = learned.pop(task, set[int]())
        if gone := lacking & {*classes}:
            raise UncleError(f"{where}: class {min(gone)} of task {task} is not there any more")
        if op != "U":
            learned[task] = lacking | {*classes}
        n = n_classes(task) if n_classes and classes else None
        if n is not None and max(classes) >= n:
            allowed_ = f"allowed: 0 to {n - 1}"
            raise UncleError(f"{where}: unknown class {max(classes)} of task {task} ({allowed_})")
        if n is not None and len(learned[task]) == n:
            raise UncleError(f"{where}: task {task} has no other class left (unlearn it: U{task})")


def most_retained(requests: Sequence[Request]) -> int:
    """How many tasks are retained at once, at the most."""
    kept, most = set[int](), 0
    for op, task, _ in requests:
        if op == "L":
            kept.add(task)
        elif op == "U":
            kept.discard(task)
        most = max(most, len(kept))
    return most


def retained(requests: Sequence[Request]) -> list[int]:
    """Tasks learned and not unlearned once all `requests` are answered, in order of id."""
    return sorted(task for task, op in _last(requests).items() if op == "L")


def forgotten(requests: Sequence[Request]) -> list[int]:
    """Tasks unlearned and not learned again once all `requests` are answered, in order of id."""
    return sorted(task for task, op in _last(requests).items() if op == "U")


def _last(requests: Sequence[Request]) -> dict[int, Op]:
    """{task: whether it was last learned or unlearned as a whole}."""
    return {task: op for op, task, _ in requests if op != "C"}


def lacking(requests: Sequence[Request]) -> dict[int, tuple[int, ...]]:
    """{retained task: its classes that were unlearned, or not learned with it}, where there are."""
    found = dict[int, set[int]]()
    for op, task, classes in requests:
        found[task] = {*classes} if op != "C" else found[task] | {*classes}
    kept = retained(requests)
    return {t: tuple(sorted(found[t])) for t in kept if found[t]}


def from_the_start(requests: Sequence[Request]) -> tuple[Request, ...]:
    """`requests` of a learner that is never shown a class that it will be asked to unlearn.

    "L3 L4 U3:7" becomes "L3-7 L4 U3:7": the same places, and nothing is left to do at the last.
    """
    found = list(requests)
    at = dict[int, int]()  # task -> the place of its latest learning
    for i, (op, task, classes) in enumerate(requests):
        if op == "L":
            at[task] = i
        elif op == "C":
            earlier = found[at[task]]
            found[at[task]] = earlier._replace(classes=tuple(sorted({*earlier.classes, *classes})))
    return tuple(found)
