"""What a run costs, known before anything is loaded: as `uncle run --dry-run` told once.

Minutes of UnCLe's run of one seed alone, sequence 1, on two cores of an Intel Xeon,
jax 0.10.2, 2026-11-28. Other methods take from a half to eight times as much.
"""

from collections.abc import Iterable

from uncle_jax.runs.spec import RunSpec

HOUR, DAY = 60.0, 24 * 60.0

MINUTES = {  # (data set, preset, whether a ResNet-18 stands in the preset's network's place)
    ("permuted-digits", "laptop", False): 1.1,
    ("five-tasks", "laptop", False): 6.0,
    ("cifar100", "laptop", False): 8.0,
    ("tinyimagenet", "laptop", False): 8.0,
    ("five-tasks", "laptop", True): 23.0,
    ("cifar100", "laptop", True): 30.0,
    ("tinyimagenet", "laptop", True): 29.0,
    ("permuted-mnist", "paper", False): 3.1 * DAY,
    ("five-tasks", "paper", False): 4.4 * DAY,
    ("cifar100", "paper", False): 2.2 * DAY,
    ("tinyimagenet", "paper", False): 3.3 * DAY,
    ("five-tasks", "paper", True): 42.8 * HOUR,
    ("cifar100", "paper", True): 30.0 * HOUR,
    ("tinyimagenet", "paper", True): 32.2 * HOUR,
}


def minutes(specs: Iterable[RunSpec]) -> float:
    """Of all seeds of all `specs`, one after another on two cores."""
    found = 0.0
    for spec in specs:
        small = spec.changes.get("backbone") == "resnet18"
        found += len(spec.seeds) * MINUTES[spec.dataset, spec.preset, small]
    return found


def in_words(spent: float) -> str:
    """Minutes as a person says them."""
    if not spent:
        return "-"
    for unit, name in ((DAY, "days"), (HOUR, "h")):
        if spent >= 2 * unit:
            return f"{spent / unit:.0f} {name}"
    return f"{max(spent, 1):.0f} min"
