"""Settings: one frozen, hashable dataclass, and the presets that fill it per benchmark.

Nothing here imports jax, so that `--help` and `--dry-run` checks answer at once.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from uncle_jax.errors import UncleError, allowed


@dataclass(frozen=True)
class Config:
    """Everything that decides what UnCLe computes; the defaults are the paper's (C.2, Table 5-7).

    Where the paper is silent, the default is the authors' code's, and the comment says so.
    """

    # Main network F(x; theta).
    backbone: Literal["resnet18", "resnet50", "thin"] = "resnet18"
    stem: Literal["imagenet", "strided", "small"] = "imagenet"  # 7x7/2 + max-pool; 3x3/2; 3x3
    width: int = 64  # channels of the first stage
    image_size: int | None = 64  # images are resized to this on device; None: native
    norm_stats: Literal["running", "batch"] = "running"  # at test: a task's own, or the batch's
    norm_momentum: float = 0.9  # of the running statistics, per step
    norm_calibration: int = 50  # forward passes at the final theta that they settle in; 0: none

    # Hypernetwork H(e; phi), Section 6.0.1 and Appendix B.
    trunk: tuple[int, ...] = (128, 256, 512)  # hidden widths, ReLU
    embedding: int = 32  # task and chunk embeddings alike
    chunks: int = 200
    parametrisation: Literal["hyperfan", "gain"] = "hyperfan"
    output_space: Literal["generated", "theta"] = "generated"  # where drift and noise are measured
    drift: Literal["auto", "exact", "direct"] = "auto"  # same value; cost differs (BUILD.md)

    # Learning, Equation 2.
    epochs: int = 10
    batch_size: int = 512
    lr: float = 1e-3
    schedule: Literal["step", "cosine", "constant"] = "step"
    schedule_epochs: int = 25  # step: epochs between two decays (authors' code)
    schedule_factor: float = 0.5  # step: what each decay multiplies by (authors' code)
    beta: float = 0.1  # weight of L_reg
    reg_mean: Literal["retained", "benchmark"] = "retained"  # L_reg divides by (paper, or code)
    clip_norm: float | None = 1.0  # of phi's gradient, learning and unlearning (authors' code)

    # Unlearning, Equations 3 and 6, Appendix E.
    unlearn_lr: float = 1e-3
    gamma: float = 0.01  # weight of the alignment with noise
    noise: Literal["gaussian", "fixed", "norm", "discard"] = "gaussian"
    noise_samples: int = 10
    noise_form: Literal["collapsed", "literal"] = "collapsed"  # same gradient; cost differs
    burn_in: int = 100  # iterations of the first unlearning
    burn_in_decay: float = 0.9  # annealing, per unlearning; 1 for none
    burn_in_floor: int = 20
    embedding_after: Literal["keep", "redraw"] = "keep"  # e_f once its task is unlearned

    # Data and evaluation.
    train_images: int | None = None  # a task trains on so many of its images; None: all
    eval_batch_size: int = 512
    eval_split: Literal["test", "validation"] = "test"  # validation: a tenth of train, held out

    def __post_init__(self) -> None:
        positive = (
            "width chunks embedding epochs batch_size lr schedule_epochs schedule_factor unlearn_lr"
            " noise_samples burn_in burn_in_decay burn_in_floor eval_batch_size"
        )
        for name in positive.split():
            if not 0 < getattr(self, name) < math.inf:
                raise UncleError(f"{name} must be positive, not {getattr(self, name)}")
        for name in ("beta", "gamma", "norm_calibration"):
            if not 0 <= getattr(self, name) < math.inf:
                raise UncleError(f"{name} must not be negative, not {getattr(self, name)}")
        for name in ("clip_norm", "image_size", "train_images"):
            if getattr(self, name) is not None and not getattr(self, name) > 0:
                raise UncleError(f"{name} must be positive or none, not {getattr(self, name)}")
        if not 0 <= self.norm_momentum < 1:
            raise UncleError(f"norm_momentum must be in [0, 1), not {self.norm_momentum}")
        if not self.trunk or min(self.trunk) <= 0:
            raise UncleError(f"trunk must be positive widths such as 128,256,512, not {self.trunk}")
        for name, kind in get_type_hints(Config).items():
            if get_origin(kind) is Literal and getattr(self, name) not in get_args(kind):
                raise allowed(name, getattr(self, name), get_args(kind))


def replace(config: Config, changes: Mapping[str, str | int | float | None]) -> Config:
    """`config` with `changes`; text values are read as the field's type.

    Raises UncleError for an unknown key (with the nearest one) or a value of the wrong type.
    """
    return read_into(config, changes, "setting")


def read_into(settings: Any, changes: Mapping[str, str | int | float | None], what: str) -> Any:
    """`settings`, a frozen dataclass, with `changes`, as in `replace`. Raises UncleError."""
    kinds = get_type_hints(type(settings))
    read: dict[str, Any] = {}
    for key, value in changes.items():
        if key not in kinds:
            raise allowed(what, key, kinds)
        read[key] = _read(key, kinds[key], value) if isinstance(value, str) else value
    return dataclasses.replace(settings, **read)


def _read(key: str, kind: Any, text: str) -> Any:
    """`text` as a value of `kind`: int, float, a Literal, `X | None`, or tuple[int, ...]."""
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise allowed(f"value of {key}:", text, get_args(kind))
        return text
    if get_origin(kind) in (Union, UnionType):
        if text.lower() == "none":
            return None
        (kind,) = (arm for arm in get_args(kind) if arm is not NoneType)
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


def fingerprint(settings: Mapping[str, Any]) -> str:
    """Twelve hex digits that change when any of `settings` (JSON-ready values) does."""
    text = json.dumps(settings, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
