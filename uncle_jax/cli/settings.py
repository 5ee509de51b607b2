"""Settings as the help and `uncle list` show them: what each may be, its default, its comment."""

import dataclasses
import inspect
import re
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin

from uncle_jax.config import Names, kinds_of, plain


class Setting(NamedTuple):
    """One field of a settings dataclass, in words."""

    name: str
    values: str  # such as {a,b}, INT or NUMBER|none
    default: str
    comment: str  # what stands beside it in the source; "" if nothing does


def described(settings: Any) -> list[Setting]:
    """Each field of a settings dataclass (an instance: its values are the defaults)."""
    kinds, told = kinds_of(type(settings)), comments(type(settings))
    return [
        Setting(
            field.name,
            values(kinds[field.name]),
            text(getattr(settings, field.name)),
            told.get(field.name, ""),
        )
        for field in dataclasses.fields(settings)
    ]


def values(kind: Any) -> str:
    """What a setting of the type `kind` may be."""
    if names := _names(kind):
        return "{" + ",".join(names) + "}|FILE.py:NAME"
    kind = plain(kind)
    if get_origin(kind) is Literal:
        return "{" + ",".join(map(str, get_args(kind))) + "}"
    if get_origin(kind) in (Union, UnionType):
        return "|".join("none" if arm is NoneType else values(arm) for arm in get_args(kind))
    if get_origin(kind) is tuple:
        return "INT,INT,..."
    return {int: "INT", float: "NUMBER", bool: "{true,false}"}.get(kind, "VALUE")


def choices(kind: Any) -> tuple[str, ...]:
    """The words that a setting of the type `kind` may be; () if they cannot be listed."""
    if names := _names(kind):
        return names
    if kind is bool:
        return ("true", "false")
    return tuple(map(str, get_args(kind))) if get_origin(kind) is Literal else ()


def _names(kind: Any) -> tuple[str, ...]:
    """The words of a setting that may be one's own code too."""
    found = (one.words for one in getattr(kind, "__metadata__", ()) if isinstance(one, Names))
    return next(found, ())


def text(value: Any) -> str:
    """A setting's value as `--set` takes it."""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def comments(cls: type) -> dict[str, str]:
    """The comment at the end of each field's line, or right above it, in the source of `cls`.

    Bases' fields too.
    """
    told: dict[str, str] = {}
    for one in reversed(cls.__mro__):
        try:
            source = inspect.getsource(one) if dataclasses.is_dataclass(one) else ""
        except (OSError, TypeError):  # no source at hand: settings still have their values
            continue
        for above, name, beside in FIELD.findall(source):
            lines = [line.strip(" #") for line in above.splitlines()]
            told |= {name: beside or " ".join(lines)} if beside or lines else {}
    return told


# a comment after an empty line is a heading over several fields
ABOVE = r"(?:(?<=[^\n]\n)((?:^    # [^\n]*\n)+))?"
FIELD = re.compile(rf"{ABOVE}^    (\w+): [^\n#]*(?:# ([^\n]*))?$", re.MULTILINE)
