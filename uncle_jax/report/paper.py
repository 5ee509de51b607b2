"""The paper's numbers, typed in from its tables, as plain data. No jax, no file is read.

Methods bear this package's names. FA is None where the paper prints 0.00 for a network that was
discarded (CLPU; "-" in Table 1) or is not there to be tested (LWSF). All accuracies are per cent,
means over three seeds with the sample's std; spill and relapse are percentage points.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from uncle_jax.config import as_dict
from uncle_jax.presets import preset
from uncle_jax.requests import TABLE_4

SEES_RETAIN = ("ft", "rt", "rt-hnet")  # marked *: they see the complete retain data
NATURAL_FORGETTING = ("lwsf", "hnet")  # marked +: they unlearn only by learning other tasks
DATASETS = ("permuted-mnist", "cifar100", "tinyimagenet", "five-tasks")  # Tables 1 and 2, in order

Row = tuple[float, float, float | None, float | None]
"""RA mean, RA std, FA mean, FA std."""


@dataclass(frozen=True)
class Numbers:
    """What the paper prints of a method on a dataset and sequence; None: not printed."""

    RA: float | None = None
    RA_std: float | None = None
    FA: float | None = None
    FA_std: float | None = None
    spill: float | None = None
    relapse: float | None = None
    seconds: float | None = None  # of one unlearning, on a V100

    def told(self) -> dict[str, float]:
        """The metrics that are printed, by name."""
        metrics = {name: getattr(self, name) for name in ("RA", "FA", "spill", "relapse")}
        return {name: value for name, value in metrics.items() if value is not None}


# Table 1, sequence 1: RA, FA on each of DATASETS. The same means as in Tables 14, 17, 20 and 23.
TABLE_1: Mapping[str, tuple[float | None, ...]] = {
    "badteacher": (92.17, 10.20, 61.75, 14.57, 52.79, 15.73, 54.38, 8.550),
    "scrub": (9.970, 9.840, 29.45, 10.06, 19.48, 10.00, 9.160, 12.97),
    "salun": (92.39, 59.24, 66.56, 44.89, 58.44, 36.02, 74.75, 25.02),
    "jit": (86.93, 29.90, 65.94, 43.93, 57.86, 32.70, 19.10, 17.20),
    "gkt": (89.77, 12.13, 57.05, 10.70, 52.44, 11.35, 10.27, 13.67),
    "ssd": (86.32, 9.930, 43.27, 10.00, 39.78, 10.37, 8.850, 10.36),
    "clpu": (91.73, None, 63.10, None, 54.90, None, 85.00, None),
    "uncle": (96.87, 10.00, 62.65, 10.00, 55.24, 10.00, 94.12, 10.04),
}

# Table 2, sequence 1: spill, relapse on each of DATASETS.
TABLE_2: Mapping[str, tuple[float, ...]] = {
    "badteacher": (33.05, 30.51, 14.61, 23.57, 9.317, 8.706, 54.62, 1.566),
    "scrub": (17.50, 0.149, 28.02, 0.513, 9.450, 0.739, 44.67, 0.00),
    "salun": (17.82, 14.82, 7.547, 9.233, 5.128, 7.200, 15.86, 0.788),
    "jit": (35.83, 23.73, 12.16, 10.73, 7.617, 9.344, 63.94, 0.342),
    "gkt": (51.86, 5.431, 32.96, 16.55, 16.36, 9.594, 83.08, 1.512),
    "ssd": (51.18, 2.586, 30.02, 5.80, 14.21, 5.828, 79.15, 0.661),
    "uncle": (0.044, 8.703, 0.640, 0.507, 0.722, 2.233, 0.023, 0.539),
}

# Table 3, sequence 1: RA of learning only, no request to unlearn answered.
TABLE_3: Mapping[str, float] = dict(zip(DATASETS, (96.84, 60.51, 50.47, 94.12), strict=True))

# Table 5: "average accuracy" by beta, of which requests it does not say.
TABLE_5: Mapping[str, Mapping[float, float]] = {
    "permuted-mnist": {1: 96.24, 0.1: 96.68, 0.01: 96.64, 0.001: 96.52},
    "five-tasks": {1: 94.46, 0.1: 94.42, 0.01: 94.13, 0.001: 94.54},
    "cifar100": {1: 48.58, 0.1: 72.16, 0.01: 52.62, 0.001: 15.72},
    "tinyimagenet": {1: 34.33, 0.1: 35.74, 0.01: 53.7, 0.001: 48.49},
}

# Table 6: FA, RA by gamma, of which requests it does not say.
TABLE_6: Mapping[str, Mapping[float, tuple[float, float]]] = {
    "permuted-mnist": {0.1: (10.412, 96.524), 0.01: (10.417, 96.544), 0.001: (17.907, 96.602)},
    "cifar100": {0.1: (8.000, 70.950), 0.01: (10.830, 71.817), 0.001: (17.190, 72.173)},
    "five-tasks": {0.1: (8.278, 92.868), 0.01: (8.070, 92.779), 0.001: (9.783, 92.847)},
    "tinyimagenet": {0.1: (10.000, 45.590), 0.01: (10.000, 48.625), 0.001: (10.000, 48.623)},
}

# Table 7: FA and seconds of an unlearning, without annealing of the burn-in and with it.
TABLE_7: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "cifar100": {"without": (10.00, 43.98), "with": (10.00, 41.70)},
    "tinyimagenet": {"without": (10.00, 45.12), "with": (10.00, 29.63)},
}

# Table 9, sequence 1: accuracy of membership inference, mean and std over three seeds.
TABLE_9: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "five-tasks": {
        "ft": (49.56, 0.22),
        "rt": (49.95, 0.37),
        "badteacher": (50.03, 0.16),
        "scrub": (50.25, 0.21),
        "salun": (50.25, 0.29),
        "jit": (49.99, 0.17),
        "gkt": (50.05, 0.08),
        "rt-hnet": (49.75, 0.06),
        "jit-hnet": (50.10, 0.06),
        "gkt-hnet": (49.99, 0.19),
        "uncle": (50.01, 0.09),
    },
    "permuted-mnist": {
        "ft": (49.63, 0.07),
        "rt": (49.98, 0.07),
        "badteacher": (50.04, 0.11),
        "scrub": (49.99, 0.01),
        "salun": (49.85, 0.13),
        "jit": (49.95, 0.08),
        "gkt": (49.99, 0.01),
        "rt-hnet": (49.90, 0.04),
        "jit-hnet": (50.02, 0.08),
        "gkt-hnet": (49.98, 0.22),
        "uncle": (50.00, 0.02),
    },
    "cifar100": {
        "ft": (45.00, 0.66),
        "rt": (49.82, 0.50),
        "badteacher": (53.06, 0.82),
        "scrub": (50.00, 0.00),
        "salun": (46.26, 0.42),
        "jit": (45.80, 0.73),
        "gkt": (49.88, 0.20),
        "rt-hnet": (50.28, 0.39),
        "jit-hnet": (48.74, 1.11),
        "gkt-hnet": (50.12, 0.11),
        "uncle": (50.00, 0.00),
    },
    "tinyimagenet": {
        "ft": (45.26, 0.73),
        "rt": (49.72, 0.23),
        "badteacher": (52.54, 0.33),
        "scrub": (50.00, 0.00),
        "salun": (47.47, 0.73),
        "jit": (47.28, 0.15),
        "gkt": (49.93, 0.06),
        "rt-hnet": (50.05, 0.22),
        "jit-hnet": (49.39, 0.24),
        "gkt-hnet": (50.10, 0.05),
        "uncle": (50.00, 0.00),
    },
}

# Table 8, sequence 1: by `noise` of config.py, RA, FA, UNI (None: minus infinity), MIA, seconds.
TABLE_8: Mapping[str, Mapping[str, tuple[float, float, float | None, float, float]]] = {
    "five-tasks": {
        "fixed": (83.04, 10.94, None, 50.07, 18.74),
        "norm": (94.31, 26.11, 52.44, 51.19, 18.3),
        "discard": (94.52, 80.91, -214.0, 50.25, 0.00),
        "gaussian": (94.12, 10.04, 100.0, 50.01, 33.28),
    },
    "cifar100": {
        "fixed": (21.79, 10.36, None, 49.97, 25.76),
        "norm": (62.75, 34.42, 41.27, 44.13, 25.39),
        "discard": (60.21, 20.70, 11.21, 46.88, 0.00),
        "gaussian": (62.65, 10.00, 100.0, 50.00, 41.70),
    },
    "permuted-mnist": {
        "fixed": (84.55, 9.870, None, 49.99, 10.48),
        "norm": (96.70, 94.99, -49.56, 49.10, 10.34),
        "discard": (96.87, 61.79, -64.54, 49.11, 0.00),
        "gaussian": (96.87, 10.00, 100.0, 50.00, 13.16),
    },
    "tinyimagenet": {
        "fixed": (34.68, 9.440, None, 50.11, 22.62),
        "norm": (55.11, 36.61, 0.80, 42.65, 22.42),
        "discard": (56.50, 15.54, 6.88, 48.44, 0.00),
        "gaussian": (55.24, 10.00, 100.0, 50.00, 29.63),
    },
}

# Table 10: seconds of one unlearning on 5-Tasks, Permuted-MNIST, CIFAR-100, Tiny-ImageNet.
_TABLE_10_ORDER = ("five-tasks", "permuted-mnist", "cifar100", "tinyimagenet")
TABLE_10: Mapping[str, tuple[float, float, float, float]] = {
    "badteacher": (76.78, 55.50, 10.95, 8.680),
    "scrub": (171.1, 118.9, 30.02, 32.52),
    "salun": (491.9, 358.3, 51.47, 65.20),
    "jit": (242.1, 213.7, 24.01, 17.71),
    "gkt": (57.67, 36.08, 68.61, 147.5),
    "ssd": (47.12, 35.16, 5.730, 5.810),
    "jit-hnet": (306.6, 257.5, 22.94, 22.83),
    "gkt-hnet": (83.30, 43.77, 83.46, 75.75),
    "uncle": (33.28, 13.16, 41.70, 29.63),
}

# Tables 11-13, sequence 1: a ResNet-18 where the paper otherwise has a ResNet-50.
RESNET18: Mapping[str, Mapping[str, Row]] = {
    "five-tasks": {  # Table 11
        "badteacher": (62.87, 8.07, 9.650, 0.65),
        "scrub": (10.90, 2.44, 9.340, 0.58),
        "salun": (58.94, 9.87, 35.16, 5.02),
        "jit": (16.66, 2.77, 8.990, 1.93),
        "gkt": (10.82, 1.25, 15.21, 1.68),
        "ssd": (30.22, 22.5, 15.07, 6.14),
        "jit-hnet": (14.74, 4.69, 13.15, 4.49),
        "gkt-hnet": (10.07, 0.71, 10.69, 1.40),
        "uncle": (93.77, 0.40, 9.600, 0.99),
    },
    "cifar100": {  # Table 12
        "badteacher": (65.13, 3.67, 10.11, 0.52),
        "scrub": (53.39, 3.15, 10.00, 0.00),
        "salun": (69.29, 2.42, 46.24, 0.99),
        "jit": (68.96, 1.93, 40.74, 0.41),
        "gkt": (61.53, 3.49, 11.01, 0.57),
        "ssd": (47.31, 5.45, 10.00, 0.00),
        "jit-hnet": (51.52, 18.8, 21.84, 4.71),
        "gkt-hnet": (40.87, 5.85, 13.89, 1.11),
        "uncle": (66.97, 3.59, 10.00, 0.00),
    },
    "tinyimagenet": {  # Table 13
        "badteacher": (53.76, 1.63, 12.12, 0.52),
        "scrub": (11.71, 1.90, 10.00, 0.00),
        "salun": (59.47, 0.80, 39.27, 1.64),
        "jit": (59.88, 0.65, 38.60, 0.77),
        "gkt": (54.31, 0.31, 13.01, 0.90),
        "ssd": (53.37, 2.60, 10.26, 0.36),
        "jit-hnet": (59.20, 1.77, 16.32, 0.23),
        "gkt-hnet": (48.34, 1.15, 10.92, 0.43),
        "uncle": (59.22, 2.14, 10.00, 0.00),
    },
}

# Tables 14-23: by dataset and sequence. Permuted-MNIST with a ResNet-18, the others a ResNet-50.
MAIN: Mapping[tuple[str, int], Mapping[str, Row]] = {
    ("permuted-mnist", 1): {  # Table 14
        "ft": (94.47, 0.12, 67.70, 2.11),
        "rt": (93.35, 0.19, 10.38, 1.53),
        "badteacher": (92.17, 0.04, 10.20, 0.40),
        "scrub": (9.97, 0.46, 9.84, 0.14),
        "salun": (92.39, 0.26, 59.24, 2.74),
        "jit": (86.93, 6.09, 29.90, 4.96),
        "gkt": (89.77, 0.31, 12.13, 0.95),
        "ssd": (86.32, 0.40, 9.93, 0.13),
        "clpu": (91.73, 0.22, None, None),
        "rt-hnet": (70.78, 1.71, 14.08, 0.54),
        "hnet": (96.60, 0.16, 96.91, 0.09),
        "jit-hnet": (76.81, 14.1, 10.27, 0.94),
        "gkt-hnet": (95.34, 0.37, 14.46, 0.35),
        "uncle": (96.87, 0.20, 10.00, 0.06),
    },
    ("permuted-mnist", 2): {  # Table 15
        "ft": (95.12, 0.68, 70.51, 1.29),
        "rt": (95.19, 0.41, 10.22, 0.68),
        "badteacher": (94.88, 0.30, 9.94, 0.54),
        "scrub": (10.06, 0.07, 9.81, 0.31),
        "salun": (95.30, 0.11, 56.92, 0.87),
        "jit": (36.59, 47.23, 19.70, 3.11),
        "gkt": (92.35, 0.25, 10.70, 0.82),
        "ssd": (89.75, 0.74, 9.84, 0.16),
        "clpu": (95.21, 0.29, None, None),
        "rt-hnet": (82.94, 14.33, 14.02, 0.55),
        "hnet": (96.67, 0.29, 96.71, 0.12),
        "jit-hnet": (94.15, 2.19, 10.55, 0.54),
        "gkt-hnet": (96.31, 0.09, 13.84, 0.33),
        "uncle": (97.00, 0.15, 9.84, 0.16),
    },
    ("permuted-mnist", 3): {  # Table 16
        "ft": (94.22, 0.10, 65.17, 1.93),
        "rt": (93.49, 0.06, 10.62, 1.01),
        "badteacher": (79.56, 4.29, 10.28, 0.81),
        "scrub": (9.97, 0.08, 9.98, 0.25),
        "salun": (82.40, 0.89, 64.78, 2.31),
        "jit": (34.45, 42.3, 31.00, 11.7),
        "gkt": (12.80, 2.35, 11.43, 0.72),
        "ssd": (9.90, 0.32, 9.92, 0.45),
        "clpu": (91.72, 0.16, None, None),
        "rt-hnet": (49.57, 8.69, 16.15, 0.74),
        "hnet": (96.80, 0.08, 96.72, 0.11),
        "jit-hnet": (9.41, 0.43, 9.73, 0.63),
        "gkt-hnet": (13.96, 2.53, 17.25, 2.26),
        "uncle": (96.98, 0.23, 9.93, 0.19),
    },
    ("five-tasks", 1): {  # Table 17
        "ft": (88.66, 0.45, 67.99, 2.83),
        "rt": (84.79, 1.88, 9.600, 4.22),
        "badteacher": (54.38, 23.5, 8.550, 1.23),
        "scrub": (9.160, 0.15, 12.97, 0.08),
        "salun": (74.75, 1.56, 25.02, 1.22),
        "jit": (19.10, 13.8, 17.20, 3.55),
        "gkt": (10.27, 0.91, 13.67, 1.52),
        "ssd": (8.850, 0.00, 10.36, 0.09),
        "lwsf": (31.76, 0.25, None, None),
        "clpu": (85.00, 0.43, None, None),
        "rt-hnet": (76.23, 3.31, 18.44, 0.78),
        "hnet": (94.56, 0.28, 96.73, 0.04),
        "jit-hnet": (10.19, 1.18, 11.29, 4.37),
        "gkt-hnet": (10.53, 0.61, 14.48, 1.00),
        "uncle": (94.12, 0.43, 10.04, 1.14),
    },
    ("five-tasks", 2): {  # Table 18
        "ft": (88.54, 0.53, 58.07, 2.40),
        "rt": (86.14, 3.72, 9.410, 0.59),
        "badteacher": (40.01, 3.01, 8.270, 0.37),
        "scrub": (9.90, 0.24, 12.80, 2.63),
        "salun": (56.29, 7.81, 29.40, 2.71),
        "jit": (11.66, 3.51, 22.31, 6.30),
        "gkt": (10.52, 0.22, 14.44, 0.88),
        "ssd": (10.10, 0.01, 14.59, 4.66),
        "clpu": (83.18, 1.62, None, None),
        "rt-hnet": (62.78, 6.57, 10.55, 1.01),
        "hnet": (96.39, 0.07, 93.84, 0.24),
        "jit-hnet": (9.770, 0.23, 17.18, 8.80),
        "gkt-hnet": (9.010, 1.14, 9.370, 0.69),
        "uncle": (95.91, 0.07, 9.930, 3.23),
    },
    ("five-tasks", 3): {  # Table 19
        "ft": (91.21, 0.45, 58.63, 0.59),
        "rt": (91.87, 0.66, 7.86, 1.81),
        "badteacher": (39.07, 25.2, 10.20, 0.96),
        "scrub": (9.22, 2.39, 10.22, 0.55),
        "salun": (37.55, 6.75, 21.99, 1.96),
        "jit": (12.56, 7.53, 11.77, 1.43),
        "gkt": (8.35, 0.88, 13.03, 1.25),
        "ssd": (12.42, 7.55, 10.22, 0.55),
        "clpu": (89.54, 0.79, None, None),
        "rt-hnet": (94.05, 0.13, 9.350, 0.48),
        "hnet": (92.96, 0.13, 93.26, 0.08),
        "jit-hnet": (7.12, 0.66, 11.40, 2.95),
        "gkt-hnet": (15.11, 4.94, 13.74, 0.90),
        "uncle": (93.24, 0.76, 11.40, 3.05),
    },
    ("cifar100", 1): {  # Table 20
        "ft": (72.43, 3.46, 55.44, 4.16),
        "rt": (62.91, 3.62, 9.69, 1.17),
        "badteacher": (61.75, 4.47, 14.57, 0.60),
        "scrub": (29.45, 7.18, 10.06, 0.10),
        "salun": (66.56, 3.58, 44.89, 2.14),
        "jit": (65.94, 3.58, 43.93, 2.48),
        "gkt": (57.05, 3.15, 10.70, 0.44),
        "ssd": (43.27, 4.25, 10.00, 0.00),
        "clpu": (63.10, 3.77, None, None),
        "rt-hnet": (23.81, 0.89, 9.71, 1.37),
        "hnet": (60.52, 3.73, 62.84, 2.72),
        "jit-hnet": (60.79, 4.45, 16.97, 3.49),
        "gkt-hnet": (40.22, 7.49, 9.97, 0.83),
        "uncle": (62.65, 3.85, 10.00, 0.00),
    },
    ("cifar100", 2): {  # Table 21
        "ft": (73.45, 3.47, 57.81, 1.24),
        "rt": (67.42, 2.41, 9.84, 1.60),
        "badteacher": (66.67, 3.58, 12.97, 1.37),
        "scrub": (13.13, 4.09, 10.00, 0.00),
        "salun": (72.33, 3.00, 44.16, 2.21),
        "jit": (71.80, 3.38, 45.98, 0.26),
        "gkt": (61.00, 2.27, 11.82, 0.85),
        "ssd": (46.45, 1.43, 10.00, 0.00),
        "clpu": (69.83, 1.85, None, None),
        "rt-hnet": (44.32, 6.60, 10.06, 1.06),
        "hnet": (66.08, 2.07, 62.59, 1.37),
        "jit-hnet": (66.97, 2.81, 20.24, 2.34),
        "gkt-hnet": (58.58, 5.98, 11.36, 0.29),
        "uncle": (66.82, 2.85, 10.00, 0.00),
    },
    ("cifar100", 3): {  # Table 22
        "ft": (72.01, 2.19, 58.79, 3.25),
        "rt": (62.47, 2.65, 9.79, 1.34),
        "badteacher": (52.76, 1.51, 14.55, 1.58),
        "scrub": (10.00, 0.00, 10.00, 0.00),
        "salun": (57.92, 2.15, 48.07, 1.99),
        "jit": (55.19, 5.52, 46.77, 2.28),
        "gkt": (11.91, 1.38, 12.67, 1.30),
        "ssd": (10.00, 0.00, 10.36, 0.62),
        "clpu": (61.23, 2.56, None, None),
        "rt-hnet": (15.42, 1.75, 9.60, 0.45),
        "hnet": (60.66, 2.37, 62.04, 0.35),
        "jit-hnet": (28.17, 7.95, 17.87, 0.69),
        "gkt-hnet": (9.54, 0.94, 11.44, 1.49),
        "uncle": (58.15, 6.09, 10.00, 0.00),
    },
    ("tinyimagenet", 1): {  # Table 23; the paper prints no other sequence of it
        "ft": (60.08, 0.30, 52.56, 2.38),
        "rt": (51.86, 0.16, 10.47, 0.59),
        "badteacher": (52.79, 1.40, 15.73, 1.09),
        "scrub": (19.48, 15.4, 10.00, 0.00),
        "salun": (58.44, 1.57, 36.02, 1.23),
        "jit": (57.86, 2.13, 32.70, 0.48),
        "gkt": (52.44, 1.53, 11.35, 0.77),
        "ssd": (39.78, 3.43, 10.37, 0.62),
        "clpu": (54.90, 1.27, None, None),
        "rt-hnet": (53.54, 2.76, 9.74, 0.86),
        "hnet": (57.53, 2.26, 54.31, 3.35),
        "jit-hnet": (54.10, 2.39, 13.05, 0.35),
        "gkt-hnet": (44.40, 2.26, 9.85, 0.30),
        "uncle": (55.24, 3.66, 10.00, 0.00),
    },
}


def numbers(
    dataset: str, seq: int, method: str, noise: str = "gaussian", resnet18: bool = False
) -> Numbers | None:
    """What the paper prints of `method` on `dataset` and sequence `seq` of Table 4, or None.

    `noise` of UnCLe other than gaussian: Table 8. `resnet18`: Tables 11-13, which give RA and FA.
    """
    if method == "uncle" and noise != "gaussian":
        if seq != 1 or resnet18 or noise not in TABLE_8.get(dataset, {}):
            return None
        ra, fa, _, _, seconds = TABLE_8[dataset][noise]
        return Numbers(RA=ra, FA=fa, seconds=seconds)
    if resnet18 and dataset in RESNET18:
        row = RESNET18[dataset].get(method) if seq == 1 else None
        return Numbers(*row) if row else None
    if method == "only-learning" and seq == 1 and dataset in TABLE_3:
        return Numbers(RA=TABLE_3[dataset])
    row = MAIN.get((dataset, seq), {}).get(method)
    if row is None:
        return None
    spill = relapse = seconds = None
    if seq == 1 and method in TABLE_2:
        at = 2 * DATASETS.index(dataset)
        spill, relapse = TABLE_2[method][at : at + 2]
    # Table 10 names no sequence; its UnCLe is that of Table 8, so of sequence 1.
    if seq == 1 and method in TABLE_10:
        seconds = TABLE_10[method][_TABLE_10_ORDER.index(dataset)]
    return Numbers(*row, spill, relapse, seconds)


def theirs(dataset: str) -> str:
    """The paper's data set that `dataset` is, or stands in for."""
    return "permuted-mnist" if dataset == "permuted-digits" else dataset


def printed(
    dataset: str,
    requests: str,
    method: str,
    config: Mapping[str, Any],
    settings: Mapping[str, Any],
    changes: Iterable[str],
) -> tuple[Numbers | None, bool]:
    """What the paper prints of a run, and whether the run has the paper's setting.

    Beside permuted digits stand Permuted-MNIST's numbers, which are of another setting. The paper's
    is a sequence of Table 4 and the preset "paper", with no `changes` (their keys) but those
    that the paper has numbers of: UnCLe's `noise`, and a ResNet-18 for a ResNet-50. `config` and
    `settings` are config.json's: every learner's, and the method's own.
    """
    of, sequences = theirs(dataset), TABLE_4.get(dataset, ())
    if of not in DATASETS or requests not in sequences:
        return None, False
    usually = preset(of, "paper")
    base = as_dict(usually.config)
    differs = {k for k in base.keys() | config.keys() if base.get(k, ()) != config.get(k, ())}
    usual = as_dict(usually.uncle)  # which the hypernetwork's other learners share in part
    differs |= {k for k in usual.keys() & settings.keys() if usual[k] != settings[k]}
    resnet18 = config.get("backbone") == "resnet18" != base["backbone"]
    may = {"noise"} if method == "uncle" else set()
    may |= {"backbone"} if resnet18 else set()
    noise, seq = settings.get("noise", "gaussian"), sequences.index(requests) + 1
    same = of == dataset and differs | set(changes) <= may
    return numbers(of, seq, method, noise, resnet18), same
