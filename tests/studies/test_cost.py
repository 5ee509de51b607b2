"""What a run costs."""

import pytest

from uncle_jax.runs.spec import RunSpec
from uncle_jax.studies.cost import MINUTES, in_words, minutes
from uncle_jax.studies.items import ITEMS


def test_every_run_of_every_table_has_a_cost():
    for preset in ("laptop", "paper"):
        for item in ITEMS.values():
            assert minutes(spec for _, spec in item.specs(preset, (0,))) > 0
    assert all(value > 0 for value in MINUTES.values())


def test_it_is_by_seed():
    one = minutes([RunSpec(seeds=(0,))])
    assert minutes([RunSpec(seeds=(0, 1, 2)), RunSpec(seeds=(3,))]) == pytest.approx(4 * one)
    assert minutes([]) == 0


@pytest.mark.parametrize(
    ("spent", "said"),
    [(0, "-"), (0.2, "1 min"), (59.6, "60 min"), (119, "119 min"), (120, "2 h"), (2880, "2 days")],
)
def test_in_words(spent, said):
    assert in_words(spent) == said
