"""A request that would end in NaN or infinite numbers fails, and the state before it stays."""

from typing import Any

import numpy as np
from jax import Array

from uncle_jax.core import checks
from uncle_jax.core.loop import OnStep
from uncle_jax.errors import UncleError


class Losses:
    """An `OnStep` that remembers losses, still on the device, and passes them on."""

    def __init__(self, on_step: OnStep | None) -> None:
        self.on_step, self.losses, self.steps = on_step, [], 0

    def __call__(self, step: int, steps: int, loss: Array) -> None:
        self.losses.append((step, loss))
        self.steps = steps
        if self.on_step:
            self.on_step(step, steps, loss)

    def first_bad(self) -> str:
        """ " (loss nan at step 3 of 90)", of the first loss that is not finite."""
        for step, loss in self.losses:
            value = float(np.asarray(loss))
            if not np.isfinite(value):
                return f" (loss {value:g} at step {step} of {self.steps})"
        return ""


def require_finite(state: Any, request: str, losses: Losses) -> None:
    """Raise UncleError if a float of `state`, in which `request` ended, is NaN or infinite."""
    if checks.finite(state):
        return
    rate = "lr" if request.startswith("L") else "learning rate of the method's unlearning"
    raise UncleError(
        f"{request} ends in a network that is not finite{losses.first_bad()}, so it is not "
        f"answered, and the state before it stays; try a smaller {rate}, or see that its images "
        "are what they should be"
    )
