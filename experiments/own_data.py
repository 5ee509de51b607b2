"""A data set of one's own, in one file: scikit-learn's digits, turned by another angle each task.

python experiments/run.py --dataset experiments/own_data.py:turned_digits --epochs 15
"""

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def turned_digits():
    """Four tasks: {"train": (images uint8 [N, 8, 8], labels [N]), "test": ...} each."""
    pixels, labels = load_digits(return_X_y=True)  # [N, 64] from 0 to 16
    grey = (pixels.reshape(-1, 8, 8) * 255 / 16).round().astype(np.uint8)
    test = np.arange(len(labels)) % 5 == 0

    def turned(angle):
        return np.stack([np.asarray(Image.fromarray(one).rotate(angle)) for one in grey])

    tasks = map(turned, (0, 90, 180, 270))
    return [{"train": (x[~test], labels[~test]), "test": (x[test], labels[test])} for x in tasks]
