"""Whether a main network of one's own is one: found out when a method is made, without computing.

And whether what training left is a network at all.
"""

import inspect
from functools import partial
from typing import Any

import flax.errors
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from uncle_jax.core.inputs import on_host
from uncle_jax.errors import UncleError, raised

KEPT = ("params", "batch_stats")  # the collections that methods keep


def main_network(module: Any, shape: tuple[int, ...], n_outputs: int) -> None:
    """Raise UncleError unless `module` is a Linen network of images [H, W, D] with `n_outputs`.

    It is called as module(x, train=...) on float32 [B, H, W, D], gives [B, n_outputs], draws no
    random numbers, and keeps nothing but parameters and batch statistics.
    """
    if isinstance(module, type):
        raise UncleError(f"main_net is the class {module.__name__}, expected {module.__name__}()")
    if not isinstance(module, nn.Module):
        raise UncleError(
            f"main_net is a {type(module).__name__}, expected a flax.linen.Module, such as MyNet()"
        )
    name = type(module).__name__
    parameters = inspect.signature(module.__call__).parameters
    kinds = [parameter.kind for parameter in parameters.values()]
    if "train" not in parameters and inspect.Parameter.VAR_KEYWORD not in kinds:
        raise UncleError(
            f"main_net {name} is called as net(x, train=True or False), but takes "
            f"{', '.join(parameters) or 'nothing'}"
        )
    x = jax.ShapeDtypeStruct((2, *shape), jnp.float32)
    key = jax.random.key(0)
    variables = _tried(name, shape, lambda x: module.init(key, x, train=False), x)
    kept = {kind for kind in variables if jax.tree.leaves(variables[kind])}
    if more := kept - {*KEPT}:
        raise UncleError(f"main_net {name} has variables of kind {min(more)} (allowed: {KEPT})")
    if "params" not in kept:
        raise UncleError(f"main_net {name} has no parameters, so nothing can be learned")
    for train in (True, False):
        apply = partial(_apply, module, train)
        logits = _tried(name, shape, apply, variables, x)
        if getattr(logits, "shape", None) != (2, n_outputs):
            raise UncleError(
                f"main_net {name} gives {_described(logits)}, expected logits [B, {n_outputs}] "
                f"(images {list(shape)})"
            )


def _apply(module: nn.Module, train: bool, variables: Any, x: Array) -> Any:
    if not train:
        return module.apply(variables, x, train=False)
    return module.apply(variables, x, train=True, mutable=["batch_stats"])[0]


def _described(logits: Any) -> str:
    if not hasattr(logits, "shape"):
        return f"a {type(logits).__name__}"
    return "[" + ", ".join(["B", *map(str, logits.shape[1:])]) + "]"


def _tried(name: str, shape: tuple[int, ...], function: Any, *args: Any) -> Any:
    """The shapes of `function(*args)`. Raises UncleError with the first line of what it raises."""
    try:
        return jax.eval_shape(function, *args)
    except flax.errors.InvalidRngError:
        raise UncleError(
            f"main_net {name} draws random numbers (Dropout, or the like), and gets no key: "
            "theta is generated, and must be all that decides a prediction; leave them out"
        ) from None
    except Exception as error:
        raise UncleError(
            f"main_net {name} cannot take images {list(shape)} ({raised(error)})"
        ) from error


@jax.jit
def _all_finite(leaves: list[Array]) -> Array:
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in leaves]))


def finite(state: Any) -> bool:
    """Whether no float of `state` is NaN or infinite; one pass where the arrays are."""
    leaves = [leaf for leaf in jax.tree.leaves(state) if _is_float(leaf)]
    if all(map(on_host, leaves)):  # no copy, and no program to compile
        return all(bool(np.isfinite(np.asarray(leaf)).all()) for leaf in leaves)
    return bool(_all_finite(leaves))


def _is_float(leaf: Any) -> bool:
    kind = getattr(leaf, "dtype", None)
    return kind is not None and jnp.issubdtype(kind, jnp.floating)
