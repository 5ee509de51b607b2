"""Settings: frozen, hashable dataclasses that check themselves and are read from text.

`Config` is what every learner shares. A method's own settings stand with the method, but for those
of the hypernetwork's learner and of UnCLe: the presets fill them. Nothing here imports jax, so that
`--help` and a wrong argument answer at once.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    Self,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from uncle_jax import own
from uncle_jax.errors import UncleError, allowed


@dataclass(frozen=True)
class Bound:
    """What a number must keep to beside being finite."""

    least: float = -math.inf
    above: float = -math.inf
    most: float = math.inf
    below: float = math.inf

    def holds(self, value: float) -> bool:
        """Whether `value` keeps to it; nan and infinity never do."""
        inside = self.least <= value <= self.most and self.above < value < self.below
        return inside and math.isfinite(value)

    def __str__(self) -> str:
        if self == Bound(least=0):
            return "not be negative"
        if self == Bound(above=0):
            return "be positive"
        names = {"least": "at least", "above": "above", "most": "at most", "below": "below"}
        parts = {word: getattr(self, name) for name, word in names.items()}
        return "be " + " and ".join(f"{w} {v:g}" for w, v in parts.items() if math.isfinite(v))


@dataclass(frozen=True)
class Names:
    """The words that a setting may be, beside the name of one's own code, FILE.py:NAME."""

    words: tuple[str, ...]

    def check(self, name: str, value: Any) -> None:
        """Raise UncleError unless the setting `name` may be `value`."""
        if value not in self.words and not (isinstance(value, str) and own.named(value)):
            raise allowed(name, value, (*self.words, "FILE.py:NAME"))


Count = Annotated[int, Bound(least=1)]
NonNegativeInt = Annotated[int, Bound(least=0)]
Positive = Annotated[float, Bound(above=0)]
NonNegative = Annotated[float, Bound(least=0)]
Share = Annotated[float, Bound(above=0, most=1)]


@dataclass(frozen=True)
class Settings:
    """The base of all settings: holds a field to its Literal, `Bound` or `Names`, or UncleError."""

    def __new__(cls, *_: Any, **given: Any) -> Self:
        """Raises UncleError, with the nearest field, for one that there is not."""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in given.keys() - {*known}:
            kinds = [kind for kind in (Hypernetwork, Uncle) if name in kind.__dataclass_fields__]
            if kinds and issubclass(cls, Config):
                kind = kinds[0].__name__
                raise UncleError(f"{name} is a setting of {kind}: settings={kind}({name}=...)")
            raise allowed(f"setting of {cls.__name__}:", name, known)
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for name, kind in kinds_of(type(self)).items():
            value = getattr(self, name)
            optional = NoneType in _arms(kind)
            if value is None and optional:
                continue
            for arm in _arms(kind):
                _hold(name, value, arm, " or none" if optional else "")


def kinds_of(cls: type) -> dict[str, Any]:
    """The type of each field of a settings dataclass, `Bound`s and `Names` included."""
    return get_type_hints(cls, include_extras=True)


def plain(kind: Any) -> Any:
    """`kind` without its `Bound` or `Names`."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _arms(kind: Any) -> tuple[Any, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _hold(name: str, value: Any, kind: Any, otherwise: str) -> None:
    if get_origin(kind) is Literal and value not in get_args(kind):
        raise allowed(name, value, get_args(kind))
    for bound in get_args(kind)[1:] if get_origin(kind) is Annotated else ():
        if isinstance(bound, Names):
            bound.check(name, value)
        elif not all(bound.holds(one) for one in _numbers(value)):
            raise UncleError(f"{name} must {bound}{otherwise}, not {value}")


def _numbers(value: Any) -> Iterator[float]:
    """A number, or those of a tuple, of which there must be one."""
    if isinstance(value, tuple):
        yield from value or (math.nan,)
    else:
        yield value


@dataclass(frozen=True)
class Config(Settings):
    """What every learner shares; the defaults are the paper's (C.2, Tables 5-7).

    Where the paper is silent, the default is the authors' code's, and the comment says so.
    """

    # Main network F(x; theta).
    backbone: Annotated[str, Names(("resnet18", "resnet50", "thin", "vit"))] = "resnet18"
    # Of the vit `stem` is patches of 8, 4 and 2 pixels, `width` that of all its layers.
    stem: Literal["imagenet", "strided", "small"] = "imagenet"  # 7x7/2 + max-pool; 3x3/2; 3x3
    width: Count = 64  # channels of the first stage
    image_size: Count | None = 64  # images are resized to this on device; None: native
    norm_stats: Literal["running", "batch"] = "running"  # at test: a task's own, or the batch's
    norm_momentum: Annotated[float, Bound(least=0, below=1)] = 0.9  # of the running ones, per step
    precision: Literal["float32", "bfloat16"] = "float32"  # of its layers; phi is always float32

    # Learning a task.
    epochs: Count = 10
    batch_size: Count = 512
    lr: Positive = 1e-3
    schedule: Literal["step", "cosine", "constant"] = "step"
    schedule_epochs: Count = 25  # step: epochs between two decays (authors' code)
    schedule_factor: Positive = 0.5  # step: what each decay multiplies by (authors' code)

    # Unlearning a class of a task; relearn: the task is unlearned, and its others learned again.
    class_unlearning: Literal["relearn", "own"] = "relearn"  # own: as the method itself can

    # Data and evaluation.
    train_images: Count | None = None  # a task trains on so many of its images; None: all
    eval_batch_size: Count = 512
    eval_split: Literal["test", "validation"] = "test"  # validation: a tenth of train, held out

    @property
    def batch_independent(self) -> bool:
        """Whether a prediction ignores the rest of its batch."""
        return self.norm_stats == "running"


@dataclass(frozen=True)
class Hypernetwork(Settings):
    """What a learner with a hypernetwork adds: H(e; phi) (6.0.1, Appendix B) and Equation 2."""

    trunk: Annotated[tuple[int, ...], Bound(least=1)] = (128, 256, 512)  # hidden widths, ReLU
    embedding: Count = 32  # task and chunk embeddings alike
    chunks: Count = 200
    parametrisation: Literal["hyperfan", "gain"] = "hyperfan"
    output_space: Literal["generated", "theta"] = "generated"  # where drift and noise are measured
    drift: Literal["auto", "exact", "direct"] = "auto"  # same value; cost differs (BUILD.md)
    beta: NonNegative = 0.1  # weight of L_reg
    reg_mean: Literal["retained", "benchmark"] = "retained"  # L_reg divides by (paper, or code)
    hold: Literal["drift", "solved"] = "drift"  # solved (ours): heads are solved for at the end too
    dead: Literal["leave", "redraw"] = "leave"  # trunk units that no retained task uses; ours
    clip_norm: Positive | None = 1.0  # of phi's gradient, learning and UnCLe's unlearning (code)
    norm_calibration: NonNegativeInt = 50  # passes at the final theta that norms settle in; 0: none

    @property
    def room(self) -> int:
        """How many tasks' networks the heads can generate exactly, whatever they are: U over C.

        The heads then have as many weights as so many networks: beyond it they compress.
        """
        return (self.trunk[-1] + 1) // self.chunks


@dataclass(frozen=True)
class Uncle(Hypernetwork):
    """What UnCLe's unlearning adds: Equations 3 and 6, Appendix E."""

    unlearn_lr: Positive = 1e-3
    unlearn_schedule: Literal["constant", "cosine"] = "constant"  # cosine: ours, falls to 0
    gamma: NonNegative = 0.01  # weight of the alignment with noise
    noise: Literal["gaussian", "fixed", "norm", "norm-root", "discard"] = "gaussian"
    noise_samples: Count = 10
    noise_form: Literal["collapsed", "literal"] = "collapsed"  # same gradient; cost differs
    burn_in: Count = 100  # iterations of the first unlearning
    burn_in_decay: Positive = 0.9  # annealing, per unlearning; 1 for none
    burn_in_floor: Count = 20
    embedding_after: Literal["keep", "redraw"] = "keep"  # e_f once its task is unlearned
    # Noise where no task is (ours: the paper binds e_f alone, and the task comes back elsewhere).
    fresh_noise: NonNegative = 0.0  # weight of it beside the noise at e_f
    fresh_draws: Count = 1  # embeddings an iteration, drawn anew
    fresh_radius: Positive | None = None  # drawn from N(0, I), or so far around e_f
    adversary_noise: NonNegative = 0.0  # the same, at embeddings that search the forgotten network
    adversaries: Count = 4  # so many of them
    adversary_lr: Positive = 0.03  # Adam's, one step of theirs an iteration


LATER: dict[str, Any] = {
    "precision": "float32",
    "class_unlearning": "relearn",
    "hold": "drift",
    "dead": "leave",
    "unlearn_schedule": "constant",
    "fresh_noise": 0.0,
    "fresh_draws": 1,
    "fresh_radius": None,
    "adversary_noise": 0.0,
    "adversaries": 4,
    "adversary_lr": 0.03,
}
"""Settings that are younger than some runs and stores, and what those ran with."""

S = TypeVar("S")


def completed(told: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """Settings of `kind` as a run or a store tells them, with those that it is too old to tell."""
    names = {field.name for field in dataclasses.fields(kind)}
    return {name: value for name, value in LATER.items() if name in names} | dict(told)


def part(kind: type[S], settings: Any) -> S:
    """The fields of `kind` that `settings`, of a subclass, adds to."""
    return kind(**{f.name: getattr(settings, f.name) for f in dataclasses.fields(kind)})  # pyright: ignore[reportArgumentType]


def filled(settings: S, preset: Any) -> S:
    """`settings` with the values of those fields that `preset` inherits from the same class."""
    shared = [c for c in type(preset).__mro__ if issubclass(c, Settings) and c is not Settings]
    names = {f.name for c in shared if isinstance(settings, c) for f in dataclasses.fields(c)}
    return dataclasses.replace(settings, **{n: getattr(preset, n) for n in names})  # pyright: ignore[reportArgumentType]


def replace(config: Config, changes: Mapping[str, str | int | float | None]) -> Config:
    """`config` with `changes`; text values are read as the field's type.

    Raises UncleError for an unknown key (with the nearest one) or a value of the wrong type.
    """
    return read_into(config, changes, "setting")


def read_into(settings: Any, changes: Mapping[str, str | int | float | None], what: str) -> Any:
    """`settings`, a frozen dataclass, with `changes`, as in `replace`. Raises UncleError."""
    kinds = kinds_of(type(settings))
    read: dict[str, Any] = {}
    for key, value in changes.items():
        if key not in kinds:
            raise allowed(what, key, kinds)
        read[key] = _read(key, kinds[key], value) if isinstance(value, str) else value
    return dataclasses.replace(settings, **read)


def _read(key: str, kind: Any, text: str) -> Any:
    """`text` as a value of `kind`: int, float, a Literal, `X | None`, or tuple[int, ...]."""
    kind = plain(kind)
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise allowed(f"value of {key}:", text, get_args(kind))
        return text
    if get_origin(kind) in (Union, UnionType):
        if text.lower() == "none":
            return None
        (kind,) = (plain(arm) for arm in get_args(kind) if arm is not NoneType)
    if kind is bool:
        if text.lower() not in ("true", "false"):
            raise UncleError(f"{key} must be true or false, not {text!r}")
        return text.lower() == "true"
    try:
        if get_origin(kind) is tuple:
            return tuple(int(part) for part in text.split(","))
        return kind(text)
    except ValueError:
        wanted = {int: "a whole number", float: "a number"}.get(kind, "numbers, as in 128,256,512")
        raise UncleError(f"{key} must be {wanted}, not {text!r}") from None


def as_dict(config: Any) -> dict[str, Any]:
    """A settings dataclass as JSON has it: tuples are lists."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def restored(kind: type[S], told: Mapping[str, Any]) -> S:
    """Settings of `kind` as JSON has them: it knows no tuples. Raises UncleError."""
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in told.items()})


def text_of(value: Any) -> str:
    """A setting's value as labels have it; of one's own code its name alone."""
    if isinstance(value, list | tuple):
        return ",".join(map(text_of, value))
    if (name := own.shown(value)) != value:
        return name
    return f"{value:g}" if isinstance(value, float) else str(value).lower()


def fingerprint(settings: Mapping[str, Any]) -> str:
    """Twelve hex digits that change when any of `settings` (JSON-ready values) does."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
