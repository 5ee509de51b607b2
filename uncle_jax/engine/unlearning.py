"""An unlearn request to a method: what data it is handed, and the call."""

from collections.abc import Sequence
from typing import Any, cast

from uncle_jax.core.loop import Inflight, OnStep
from uncle_jax.data.benchmark import Benchmark
from uncle_jax.errors import UncleError
from uncle_jax.methods.protocol import Method, Past, Unlearn, UnlearnDataFree
from uncle_jax.requests import Request, lacking, retained
from uncle_jax.tasks import Data, only_classes


def relearns(method: Method) -> bool:
    """Whether it unlearns classes by unlearning their task, and learning the others again."""
    return method.unlearn_classes is None


def one_by_one(method: Method, requests: Sequence[Request]) -> tuple[Request, ...]:
    """`requests` with "U3 L3-7" in the place of "U3:7", if that is how `method` answers it."""
    if not relearns(method) or method.passes:
        return tuple(requests)
    found = list[Request]()
    for index, (op, task, _) in enumerate(requests):
        gone = lacking(requests[: index + 1]).get(task, ())
        both = (Request("U", task), Request("L", task, gone))
        found += both if op == "C" else [requests[index]]
    return tuple(found)


def gather(method: Method, benchmark: Benchmark, requests: Sequence[Request]) -> Past | None:
    """The training data that `method` may read for the unlearn request that `requests` end in.

    None for a method that reads none (or its own buffer alone): nothing is loaded. For classes of a
    task it is what their whole task would need, or if the method has a way of its own, theirs.
    """
    *earlier, (op, task, classes) = requests
    whole = op == "U" or relearns(method)
    kept = [t for t in retained(requests) if not (whole and t == task)]
    learned_at = {t: index for index, (op, t, _) in enumerate(requests) if op == "L"}
    order = sorted(kept, key=lambda t: learned_at[t])
    present = benchmark.without(lacking(requests))

    def train(t: int) -> Data:
        return present.load(t, "train")

    if method.reads in ("forget", "forget+retain"):
        forget = benchmark.without(lacking(earlier)).load(task, "train")
        return Past(forget if whole else only_classes(forget, classes))
    if method.reads == "latest":
        return Past(retained={t: train(t) for t in order[-1:]})
    if method.reads == "all retained data":
        return Past(retained={t: train(t) for t in order})
    return None


def unlearn(
    method: Method, state: Any, task: int, past: Past | None, on_step: OnStep | None = None
) -> Any:
    """`state` without `task`: `method.unlearn`, which is handed `past` only if there is any."""
    if past is None:
        return cast(UnlearnDataFree, method.unlearn)(state, task, on_step=on_step)
    return cast(Unlearn, method.unlearn)(state, task, past, on_step=on_step)


def unlearn_classes(
    method: Method,
    state: Any,
    request: Request,
    past: Past | None,
    rest: Data | None = None,
    on_step: OnStep | None = None,
    inflight: Inflight | None = None,
) -> Any:
    """`state` without the classes of `request`, whose task has others that stay.

    By the method's own way, or its task is unlearned, and learned again from `rest`, the training
    data of the others. Raises UncleError where that is needed and not there.
    """
    task, classes = request.task, request.classes
    if method.unlearn_classes is not None:
        more = () if past is None else (past,)
        return method.unlearn_classes(state, task, classes, *more, on_step=on_step)
    if rest is None:
        raise UncleError(
            f"{request}: {method.name} learns task {task} again without what is unlearned, and "
            "needs the training data of its other classes"
        )
    state = unlearn(method, state, task, past, on_step)
    kept = {"inflight": inflight} if inflight else {}
    return method.learn(state, task, rest, on_step=on_step, **kept)
