"""The one exception that means "the input was wrong", told in one line."""

import difflib
import re
from collections.abc import Iterable


class UncleError(ValueError):
    """Bad input: one line that names what was wrong and what is allowed."""

    def __init__(self, message: str) -> None:
        super().__init__(BREAKS.sub(_escaped, message))


BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # a name in it may have some


def _escaped(match: re.Match[str]) -> str:
    return repr(match[0])[1:-1]


def allowed(what: str, given: object, options: Iterable[object]) -> UncleError:
    """An error for a value outside `options`, with the nearest option suggested.

    Returns (not raises) the UncleError, so that call sites read `raise allowed(...)`.
    """
    names = [str(option) for option in options]
    folded = {name.casefold(): name for name in reversed(names)}  # CIFAR100 is cifar100, too
    near = difflib.get_close_matches(str(given), names, n=1) or [
        folded[word] for word in difflib.get_close_matches(str(given).casefold(), folded, n=1)
    ]
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return UncleError(f"unknown {what} {str(given)!r}{hint} (allowed: {', '.join(names)})")


def raised(error: Exception) -> str:
    """What somebody's own code raised: its kind, and the first line of what it says."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}"


def out_of_memory(error: Exception) -> str | None:
    """One line on memory that is not there; None if `error` is of another kind."""
    text = " ".join(str(error).split())
    if not isinstance(error, MemoryError) and "RESOURCE_EXHAUSTED" not in text:
        return None
    what = text.removeprefix("RESOURCE_EXHAUSTED: ")[:150] or "no more to be had"
    return f"not enough memory ({what}); fewer chunks, a smaller batch_size or width need less"
