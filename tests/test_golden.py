"""Golden losses: a change to the mathematics, the packing or a random draw shows here.

Regenerate on purpose only: python tests/test_golden.py
"""

import dataclasses

import jax
import numpy as np
from conftest import HYPER, SPEC, TINY, blobs

from uncle_jax.methods.uncle import uncle

GOLDEN = {
    "losses": [2.058852, 1.435212, 1.101985, 7.612399, 8.753111],
    "phi_norm": 8.726398,
}


def measure() -> dict:
    """One learning step without drift, one with, two unlearning steps; then phi's norm."""
    settings = dataclasses.replace(HYPER, burn_in=2)
    method = uncle(SPEC, 3, dataclasses.replace(TINY, epochs=1), settings=settings)
    losses: list[float] = []

    def note(step, steps, loss):
        losses.append(float(loss))

    state = method.init(jax.random.key(42))
    state = method.learn(state, 0, blobs(0, 16), on_step=note)
    state = method.learn(state, 2, blobs(4, 32), on_step=note)
    state = method.unlearn(state, 0, on_step=note)
    norm = float(np.sqrt(sum(np.sum(np.square(a)) for a in jax.tree.leaves(state.phi))))
    return {"losses": losses, "phi_norm": norm}


def test_golden_steps():
    found = measure()
    np.testing.assert_allclose(found["losses"], GOLDEN["losses"], rtol=1e-4)
    np.testing.assert_allclose(found["phi_norm"], GOLDEN["phi_norm"], rtol=1e-5)


if __name__ == "__main__":
    print(measure())
