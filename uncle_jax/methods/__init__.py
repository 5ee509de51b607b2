"""Methods: what learns and unlearns. One file per method; all have the shape of `Method`."""

from uncle_jax.methods.protocol import Method
from uncle_jax.methods.uncle import only_learning, uncle

METHODS = {"uncle": uncle, "only-learning": only_learning}

__all__ = ["METHODS", "Method", "only_learning", "uncle"]
