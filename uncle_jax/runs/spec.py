"""An experiment as an object: which data, method, settings, requests and seeds.

    RunSpec("cifar100", "ssd", preset="laptop", seeds=(0, 1)).changed("ssd.alpha=30")

Importing this module imports no jax; making a RunSpec imports its method, which does.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uncle_jax import own
from uncle_jax.config import (
    Config,
    Hypernetwork,
    Uncle,
    as_dict,
    fingerprint,
    replace,
    restored,
)
from uncle_jax.errors import UncleError, allowed
from uncle_jax.methods import registry
from uncle_jax.presets import presets
from uncle_jax.requests import TABLE_4, Request, Stream, parse, table_4
from uncle_jax.runs.usual import usual

if TYPE_CHECKING:
    from uncle_jax.data.load import Choice

UNSAFE = re.compile(r"[^A-Za-z0-9._,=+-]")  # what a shell or a glob reads, or may read
SEEDS = 2**32  # there are so many
FROM_PRESET: Any = None  # a field that is not given
OWN = {
    "uncle": Uncle,
    **dict.fromkeys(("hnet", "rt-hnet", "only-learning", "never"), Hypernetwork),
}
"""Methods' own settings, of those whose settings are known without importing jax."""


@dataclass(frozen=True)
class RunSpec:
    """A method that answers requests on a benchmark, once for each seed.

    Settings that are not given are `source`'s (runs/usual.py), the preset the benchmark's first;
    requests are Table 4's first sequence. On one's own data (), the default: each task is learned,
    then task 0 unlearned. Raises UncleError for what there is not.
    """

    dataset: str = "permuted-digits"  # as `uncle run --dataset` takes it
    method: str = "uncle"  # as methods/registry.py finds it
    preset: str = FROM_PRESET
    config: Config = FROM_PRESET
    settings: Any = FROM_PRESET  # the method's own; None if it has none
    requests: tuple[Request, ...] = FROM_PRESET
    seeds: tuple[int, ...] = (0,)
    data: "Choice | None" = None  # where data come from; None: ./data, downloading what is missing
    source: str = "authors"  # or "tuned"
    stream: Stream | None = None  # in the place of requests, which are drawn once tasks are counted

    def __post_init__(self) -> None:
        registry.check(self.method)
        name = self.preset or next(iter(presets(self.dataset)))
        config, settings = usual(self.dataset, name, self.method, self.source)
        missing: dict[str, Any] = {"preset": name}
        if self.requests is None:
            own = ":" in self.dataset or self.stream is not None
            missing["requests"] = () if own else table_4(self.dataset, 1)
        if self.config is None:
            missing["config"] = config
        if self.settings is None:
            missing["settings"] = settings
        for field, value in missing.items():
            object.__setattr__(self, field, value)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise UncleError(f"--seeds must differ, not {[*self.seeds]}")
        for seed in self.seeds:
            check_seed(seed, "--seeds")

    def changed(self, *items: str, beside: Iterable[str] = ()) -> "RunSpec":
        """This with settings changed, as `--set` takes them; those of methods `beside` are not its.

        Raises UncleError.
        """
        config, own = set_changes(items, self.config, {self.method: None, **dict.fromkeys(beside)})
        settings = self.settings
        if own[self.method]:
            settings = registry.changed(self.method, settings, own[self.method])
        return dataclasses.replace(self, config=config, settings=settings)

    @property
    def changes(self) -> dict[str, Any]:
        """The settings that differ from `source`'s."""
        config, settings = usual(self.dataset, self.preset, self.method, self.source)
        own = {} if settings is None else _differences(settings, self.settings)
        named = {registry.own_key(self.method, key): value for key, value in own.items()}
        return _differences(config, self.config) | named

    @property
    def label(self) -> str:
        """The method, whose settings it has if not its authors', and what is changed."""
        told = (f"{key}={own.shown(value)}" for key, value in self.changes.items())
        return " ".join([registry.short(self.method), *self._tuned, *told])

    @property
    def _tuned(self) -> list[str]:
        return [] if self.source == "authors" else [self.source]

    @property
    def seq(self) -> int | None:
        """Which sequence of Table 4 this answers; None for one's own."""
        asked = " ".join(map(str, self.requests))
        sequences = TABLE_4.get(self.dataset, ())
        return sequences.index(asked) + 1 if asked in sequences else None

    @property
    def name(self) -> str:
        """The usual work directory's: data, sequence, method and whatever is not the preset's."""
        asked = f"seq{self.seq}" if self.seq else "own"
        if self.stream is not None:
            asked = self.stream.name
        place = [own.data_place(self.dataset), asked]
        changes = self.changes
        told = [f"{key}={own.shown(value)}" for key, value in changes.items()]
        told = [UNSAFE.sub("", text.replace("/", "_")) for text in told]
        if len(told) > 3:
            told = [f"changed-{fingerprint(changes)[:6]}"]
        return "-".join([*place, registry.short(self.method), *self._tuned, *told])


def spec_of(told: Mapping[str, Any]) -> RunSpec:
    """The run that a config.json tells of. Raises UncleError for settings of another version."""
    method = told["method"]
    own = registry.settings_of(method, registry.find(method), {})
    config = restored(Config, told["config"])
    settings = None if own is None else restored(type(own), told.get("settings") or {})
    return RunSpec(
        told["dataset"],
        method,
        told.get("preset") or FROM_PRESET,
        config,
        settings,
        parse(told["requests"]),
        (told["seed"],),
        source=told.get("source", "authors"),
    )


def check_seed(seed: int, option: str) -> None:
    """Raise UncleError unless NumPy and JAX alike take `seed`."""
    if not 0 <= seed < SEEDS:
        raise UncleError(f"{option} must be from 0 to {SEEDS - 1}, not {seed}")


def _differences(theirs: Any, settings: Any) -> dict[str, Any]:
    before, after = as_dict(theirs), as_dict(settings)
    return {key: value for key, value in after.items() if before[key] != value}


def set_changes(
    items: Iterable[str], config: Config, methods: Iterable[str]
) -> tuple[Config, dict[str, dict[str, str]]]:
    """`config` with what `items` change of it, and each method's own changes, still as text.

    `items`: such as "lr=1e-3" or "scrub.lr=1e-3". Raises UncleError.
    """
    changes: dict[str, str] = {}
    own: dict[str, dict[str, str]] = {name: {} for name in methods}
    for item in items:
        name, key, value = setting(item, own, "--set")
        for owner in owners(name, key, own):
            (changes if owner is None else own[owner])[key] = value
    return replace(config, changes), own


def owners(name: str | None, key: str, methods: Iterable[str]) -> list[str | None]:
    """Whose setting KEY is: None for every learner's, else of `methods`; METHOD.KEY is its own.

    Raises UncleError if it is nobody's.
    """
    if name is not None:
        return [name]
    shared = [field.name for field in dataclasses.fields(Config)]
    if key in shared:
        return [None]
    fields = {method: own_fields(method) for method in methods}
    found: list[str | None] = [method for method, names in fields.items() if key in names]
    if not found:
        names = ", ".join(map(registry.short, fields))
        known = [*shared, *sorted(set().union(*fields.values()))]
        raise allowed(f"setting of {names}:", key, known)
    return found


def own_fields(method: str) -> set[str]:
    """The names of a method's own settings. Raises UncleError if there is no such method."""
    kind = OWN.get(method) or registry.settings_of(method, registry.find(method), {})
    return set() if kind is None else {field.name for field in dataclasses.fields(kind)}


def setting(
    item: str, methods: Iterable[str], option: str, form: str = "KEY=VALUE, such as chunks=100"
) -> tuple[str | None, str, str]:
    """(method or None, key, value) of "KEY=VALUE" or "METHOD.KEY=VALUE". Raises UncleError."""
    place, equals, value = item.partition("=")
    if not equals:
        raise UncleError(f"{option} {item!r} is not {form}")
    short, dot, key = place.strip().rpartition(".")
    key, value = key.replace("-", "_"), value.strip()
    if not dot:
        return None, key, value
    for name in methods:
        if registry.short(name) == short:
            return name, key, value
    raise UncleError(f"{option} {item!r} is of method {short}, not of {', '.join(methods)}")
