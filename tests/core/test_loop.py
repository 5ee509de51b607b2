from dataclasses import replace

import pytest
from conftest import TINY

from uncle_jax.core.loop import learning_rate


def test_schedules():
    config = replace(TINY, epochs=60, lr=1.0)
    rates = [learning_rate(config, 10 * epoch, 10) for epoch in (0, 24, 25, 49, 50)]
    assert rates == [1, 1, 0.5, 0.5, 0.25]
    cosine = replace(config, schedule="cosine")
    assert learning_rate(cosine, 0, 10) == 1
    assert learning_rate(cosine, 300, 10) == pytest.approx(0.5)
    assert learning_rate(replace(config, schedule="constant"), 599, 10) == 1
