"""What every method offers: four pure functions over its own frozen state."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from uncle_jax.data.benchmark import Data
from uncle_jax.hypernet import Array

OnStep = Callable[[int, int, Array], None]
"""Called as on_step(step, steps, loss) after each optimiser step; `loss` is still on the device."""


class Midway(Protocol):
    """What keeps a long learn request's progress, so that it can go on after a crash (midway.py).

    A carry is a method's own pytree: what its epochs hand on to each other.
    """

    def resume(self, carry: Any) -> tuple[int, Any]:
        """(epochs done, the carry after them); (0, `carry`) if nothing was kept."""
        ...

    def after_epoch(self, done: int, carry: Any) -> None:
        """Keep `carry`, as it is after `done` epochs, or not."""
        ...


class Learn(Protocol):
    """learn(state, task, data) -> state."""

    def __call__(
        self,
        state: Any,
        task: int,
        data: Data,
        *,
        on_step: OnStep | None = None,
        midway: Midway | None = None,
    ) -> Any: ...


class Unlearn(Protocol):
    """unlearn(state, task) -> state: it has no argument for data."""

    def __call__(self, state: Any, task: int, *, on_step: OnStep | None = None) -> Any: ...


class Method(NamedTuple):
    """A continual learner that can unlearn. States go in and come out; none is changed in place."""

    name: str
    init: Callable[[Array], Any]  # (key) -> state
    learn: Learn  # (state, task, data) -> state
    unlearn: Unlearn  # (state, task) -> state; takes no data
    logits: Callable[[Any, int, Any], Array]  # (state, task, images [B, H, W, D]) -> [B, Y]
