"""One object for equal arguments, so that what is compiled for it serves again."""

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
KEPT = 256  # objects of each kind; what is compiled for one that is dropped is compiled again


def interned(build: Callable[P, T]) -> Callable[P, T]:
    """`build`, but equal arguments give the same object.

    Arguments that cannot be hashed, such as a module with a list in it, give one of its own.
    """
    kept = functools.lru_cache(KEPT)(build)

    @functools.wraps(build)
    def built(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return kept(*args, **kwargs)
        except TypeError:
            return build(*args, **kwargs)

    return built
