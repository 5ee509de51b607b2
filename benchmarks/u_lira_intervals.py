"""How often a 95 % interval of U-LiRA's AUC holds a half, where nothing differs.

    python benchmarks/u_lira_intervals.py [--draws 100]

Models a side, and per cent of draws: with the standard error of independent numbers, and with that
of folds, which `uncle audit` takes.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from uncle_jax.evaluation.audit.margins import u_lira
from uncle_jax.evaluation.audit.verdict import interval

MODELS, IMAGES = (5, 12, 16, 32), 200


def main() -> None:
    """Draw margins of models that are all alike, and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=100)
    args = parser.parse_args()
    for models in MODELS:
        held = np.zeros(2)
        for seed in range(args.draws):
            rng = np.random.default_rng(seed)
            places = rng.normal(size=IMAGES)
            one, other = (places + rng.normal(size=(models, IMAGES)) for _ in range(2))
            found = [*u_lira(one, other)]
            both = [interval(found, folds=folds) for folds in (False, True)]
            held += [told.low <= 0.5 <= told.high for told in both]
        print(models, *(100 * held / args.draws))


if __name__ == "__main__":
    main()
