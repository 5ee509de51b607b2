"""An experiment as an object: which data, method, settings, requests and seeds.

    RunSpec("cifar100", "ssd", preset="laptop", seeds=(0, 1)).changed("ssd.alpha=30")

Importing this module imports no jax; making a RunSpec imports its method, which does.
"""

import dataclasses
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
from uncle_jax.presets import Preset, preset, presets
from uncle_jax.requests import TABLE_4, Request, parse, table_4

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

    What is not given is the preset's, and the preset the benchmark's first; requests are Table 4's
    first sequence. On one's own data (), the default: each task is learned, then task 0 unlearned.
    Raises UncleError for what there is not.
    """

    dataset: str = "permuted-digits"  # as `uncle run --dataset` takes it
    method: str = "uncle"  # as methods/registry.py finds it
    preset: str = FROM_PRESET
    config: Config = FROM_PRESET
    settings: Any = FROM_PRESET  # the method's own; None if it has none
    requests: tuple[Request, ...] = FROM_PRESET
    seeds: tuple[int, ...] = (0,)
    data: "Choice | None" = None  # where data come from; None: ./data, downloading what is missing

    def __post_init__(self) -> None:
        registry.check(self.method)
        usual: dict[str, Any] = {"preset": self.preset or next(iter(presets(self.dataset)))}
        chosen = preset(self.dataset, usual["preset"])
        if self.requests is None:
            usual["requests"] = () if ":" in self.dataset else table_4(self.dataset, 1)
        if self.config is None:
            usual["config"] = chosen.config
        if self.settings is None:
            usual["settings"] = usual_settings(self.method, chosen)
        for name, value in usual.items():
            object.__setattr__(self, name, value)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise UncleError(f"--seeds must differ, not {[*self.seeds]}")
        for seed in self.seeds:
            check_seed(seed, "--seeds")

    def changed(self, *items: str) -> "RunSpec":
        """This with settings changed, as `--set` takes them. Raises UncleError."""
        config, own = set_changes(items, self.config, [self.method])
        settings = self.settings
        if own[self.method]:
            settings = registry.changed(self.method, settings, own[self.method])
        return dataclasses.replace(self, config=config, settings=settings)

    @property
    def changes(self) -> dict[str, Any]:
        """The settings that differ from the preset's, or from the method's defaults."""
        chosen = preset(self.dataset, self.preset)
        usual = usual_settings(self.method, chosen)
        own = {} if usual is None else _differences(usual, self.settings)
        named = {registry.own_key(self.method, key): value for key, value in own.items()}
        return _differences(chosen.config, self.config) | named

    @property
    def label(self) -> str:
        """The method, and what is changed."""
        told = (f"{key}={value}" for key, value in self.changes.items())
        return " ".join([registry.short(self.method), *told])

    @property
    def seq(self) -> int | None:
        """Which sequence of Table 4 this answers; None for one's own."""
        asked = " ".join(map(str, self.requests))
        sequences = TABLE_4.get(self.dataset, ())
        return sequences.index(asked) + 1 if asked in sequences else None

    @property
    def name(self) -> str:
        """The usual work directory's: data, sequence, method and whatever is not the preset's."""
        place = [self.dataset.partition(":")[0], f"seq{self.seq}" if self.seq else "own"]
        changes = self.changes
        told = [f"{key}={value}" for key, value in changes.items()]
        told = [UNSAFE.sub("", text.replace("/", "_")) for text in told]
        if len(told) > 3:
            told = [f"changed-{fingerprint(changes)[:6]}"]
        return "-".join([*place, registry.short(self.method), *told])


def spec_of(told: Mapping[str, Any]) -> RunSpec:
    """The run that a config.json tells of. Raises UncleError for settings of another version."""
    method = told["method"]
    usual = registry.settings_of(method, registry.find(method), {})
    config = restored(Config, told["config"])
    settings = None if usual is None else restored(type(usual), told.get("settings") or {})
    return RunSpec(
        told["dataset"],
        method,
        told.get("preset") or FROM_PRESET,
        config,
        settings,
        parse(told["requests"]),
        (told["seed"],),
    )


def check_seed(seed: int, option: str) -> None:
    """Raise UncleError unless NumPy and JAX alike take `seed`."""
    if not 0 <= seed < SEEDS:
        raise UncleError(f"{option} must be from 0 to {SEEDS - 1}, not {seed}")


def usual_settings(method: str, chosen: Preset) -> Any:
    """A method's own settings under a preset; None if it has none. Raises UncleError."""
    return registry.settings_of(method, registry.find(method), {}, chosen.uncle)


def _differences(usual: Any, settings: Any) -> dict[str, Any]:
    before, after = as_dict(usual), as_dict(settings)
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
