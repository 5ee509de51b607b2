"""Every attack on a subject: which pieces it has, and what a piece finds.

An attack looks first at the state that kept the task (its power), then at the one that never
learned it (a reference), at the run's, and at the control's. Keys depend on seed, attack and task
alone: a task is attacked with equal draws in every state.
"""

import math
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

import jax
import numpy as np

from uncle_jax.config import Count, NonNegativeInt, Settings, as_dict, fingerprint
from uncle_jax.evaluation.accuracy import evaluate
from uncle_jax.evaluation.audit import classes, margins, representation, rounding, weights
from uncle_jax.evaluation.audit.classes import ClassRelearning
from uncle_jax.evaluation.audit.embedding_search import EmbeddingSearch, search
from uncle_jax.evaluation.audit.relearning import Relearning, brief, relearn, relearn_few
from uncle_jax.evaluation.audit.representation import Representation
from uncle_jax.evaluation.audit.rounding import Rounding
from uncle_jax.runs.subject import Piece, State, Subject

Attack = Literal[
    "embedding search",
    "relearning",
    "representation",
    "weights",
    "rounding",
    "margins",
    "classes",
]
ATTACKS: tuple[Attack, ...] = get_args(Attack)
PLAN = 2
"""Changes when `plan` attacks more than it did: audits of an earlier one are added to."""
NO_LOSS: Any = math.nan  # relearning tells of none
Found = dict[str, Any]


@dataclass(frozen=True)
class AuditSettings(Settings):
    """What is attacked how."""

    search: EmbeddingSearch = field(default_factory=EmbeddingSearch)
    relearning: Relearning = field(default_factory=Relearning)
    representation: Representation = field(default_factory=Representation)
    rounding: Rounding = field(default_factory=Rounding)
    classes: ClassRelearning = field(default_factory=ClassRelearning)
    images: Count = 200  # of each split, whose margins are kept
    tasks: tuple[int, ...] = ()  # unlearned tasks that are attacked; (): all
    references: NonNegativeInt = 2  # never-learned tasks that are attacked as well
    attacks: tuple[Attack, ...] = ATTACKS
    power: NonNegativeInt = 3  # retained tasks that are attacked as if they were unlearned

    def widened(self, other: "AuditSettings") -> "AuditSettings":
        """These settings, with whatever `other` attacks beyond them."""
        tasks = {*self.tasks, *other.tasks} if self.tasks and other.tasks else ()
        return replace(
            self,
            tasks=tuple(sorted(tasks)),
            references=max(self.references, other.references),
            power=max(self.power, other.power),
            attacks=tuple(a for a in ATTACKS if a in {*self.attacks, *other.attacks}),
        )

    def alike(self, other: "AuditSettings") -> bool:
        """Whether both attack in the same way, if not the same."""
        theirs = (other.tasks, other.references, other.attacks, other.power)
        names = ("tasks", "references", "attacks", "power")
        return replace(self, **dict(zip(names, theirs, strict=True))) == other


def plan(subject: Subject, settings: AuditSettings) -> list[Piece]:
    """Which attacks are made on what, in order."""
    gone = [t for t in subject.gone if not settings.tasks or t in settings.tasks]
    kept, never = subject.kept[: settings.power], subject.unused[: settings.references]
    pieces: list[Piece] = []
    for attack in settings.attacks:
        if not able(subject, attack):
            continue
        states: tuple[State, ...] = ("kept", "never", "run")
        if attack == "classes":
            lack = subject.lacking
            pieces += [Piece(attack, "unlearned", s, t, t) for s in states for t in lack]
            continue
        if not subject.gone:
            continue
        pieces += [Piece(attack, "unlearned", s, t, t) for s in states for t in gone]
        swap = [t for t in gone if t in subject.swap]
        pieces += [Piece(attack, "unlearned", "swapped", t, t) for t in swap]
        if attack in ("relearning", "embedding search"):
            pieces += [Piece(attack, "retained", "run", t, t) for t in kept]
            for task in never:
                inside = task < subject.benchmark.n_tasks
                slot = task if inside or attack == "embedding search" else subject.free_slot
                if slot is not None:
                    pieces.append(Piece(attack, "never", "run", task, slot))
    return pieces


def able(subject: Subject, attack: str) -> bool:
    """Whether the run's method has what `attack` looks at."""
    method = subject.method
    if attack == "embedding search":
        return method.generator is not None
    if attack in ("representation", "classes"):
        return method.main is not None and method.network is not None
    return True


def mark_of(subject: Subject, piece: Piece, settings: AuditSettings) -> str:
    """Changes with whatever decides what `piece` finds in a reference."""
    own = {"embedding search": settings.search, "margins": settings.images}
    own |= {
        name: getattr(settings, name)
        for name in ("relearning", "representation", "rounding", "classes")
    }
    how = own.get(piece.attack)
    told = {
        "piece": piece._asdict(),
        "states": [subject[state].mark for state in ("never", "kept")],
        "seed": subject.run.seed,
        "settings": as_dict(how) if isinstance(how, Settings) else how,
    }
    return fingerprint(told)


def attack(subject: Subject, piece: Piece, settings: AuditSettings) -> Found:
    """What `piece` found, as audit.json has it."""
    begun = time.perf_counter()
    found = FUNCTIONS[piece.attack](subject, piece, settings)
    return {
        "piece": piece._asdict(),
        "place": subject.place(piece.slot),
        **found,
        "seconds": round(time.perf_counter() - begun, 2),
    }


def _search(subject: Subject, piece: Piece, settings: AuditSettings) -> Found:
    held, on_step = subject[piece.state], subject.watch.on_step
    key, target = _key(subject, piece), subject.target(piece)
    found = search(held.method, held.state, target, settings.search, key, on_step)
    return {"accuracy": _list(found.accuracy)}


def _relearning(subject: Subject, piece: Piece, settings: AuditSettings) -> Found:
    held, on_step = subject[piece.state], subject.watch.on_step

    def on_learned(times: int, of: int) -> None:
        if on_step:
            on_step(times, of, NO_LOSS)

    key, target, how = _key(subject, piece), subject.target(piece), settings.relearning
    learner, batch = brief(held.method), subject.spec.config.batch_size
    every = relearn(learner, held.state, target, how, key, on_learned)
    few = relearn_few(learner, held.state, target, how, batch, key, on_learned)
    return {"accuracy": _list(every), "few": _list(few)}


def _representation(subject: Subject, piece: Piece, settings: AuditSettings) -> Found:
    held, target = subject[piece.state], subject.target(piece)
    names: tuple[State, ...] = ("never", "kept")
    others = {name: (subject[name].method, subject[name].state) for name in names}
    told = representation.measure(held.method, held.state, target, others, settings.representation)
    return {name: v if name == "layers" else _list(np.array(v)) for name, v in told.items()}


def _weights(subject: Subject, piece: Piece, settings: AuditSettings) -> Found:
    del settings
    held, target = subject[piece.state], subject.target(piece)
    never, kept = subject["never"].state, subject["kept"].state
    place = weights.place(held.method, piece.slot, held.state, never, kept)
    line = weights.line(held.method, held.state, never, target)
    share, distance = (round(value, 5) for value in place)
    told = {"share": share, "distance": distance, "barrier": round(line.barrier, 4)}
    return {**told, "accuracy": _list(line.accuracy), "loss": _list(line.loss)}


def _classes(subject: Subject, piece: Piece, settings: AuditSettings) -> Found:
    held, gone = subject[piece.state], subject.lacking[piece.task]
    of = held.method, held.state, subject.target(piece), gone, settings.classes
    found = classes.measure(*of)
    return {"classes": [*gone], "few": [_list(found.few)], "probe": _list(found.probe)}


def _rounding(subject: Subject, piece: Piece, settings: AuditSettings) -> Found:
    held = subject[piece.state]
    found = rounding.measure(held.method, held.state, subject.target(piece), settings.rounding)
    return {"accuracy": _list(np.array(found))}


def _margins(subject: Subject, piece: Piece, settings: AuditSettings) -> Found:
    held = subject[piece.state]
    found = margins.measure(held.method, held.state, subject.target(piece), settings.images)
    kept = {}
    for split in ("train", "test"):
        values = [
            evaluate(held.method, held.state, t, subject.benchmark.load(t, split))
            for t in subject.kept
        ]
        kept[split] = round(float(np.mean(values)), 4) if values else None
    return {"members": _list(found.members), "others": _list(found.others), "retained": kept}


FUNCTIONS: dict[str, Callable[[Subject, Piece, AuditSettings], Found]] = {
    "embedding search": _search,
    "relearning": _relearning,
    "representation": _representation,
    "weights": _weights,
    "rounding": _rounding,
    "margins": _margins,
    "classes": _classes,
}


def _key(subject: Subject, piece: Piece) -> jax.Array:
    drawn = zlib.crc32(f"{piece.attack} {piece.task}".encode())
    return jax.random.fold_in(jax.random.key(subject.run.seed), drawn)


def _list(values: np.ndarray) -> Any:
    """As JSON has it: what is not finite is null."""
    values = np.asarray(values, np.float64).round(4)
    return np.where(np.isfinite(values), values.astype(object), np.array(None)).tolist()
