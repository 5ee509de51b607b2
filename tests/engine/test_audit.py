"""What an audit of a store says of its numbers."""

import json
import math

import pytest

from uncle_jax.engine.audit import UNREFERENCED, Finding, StoreAudit
from uncle_jax.errors import UncleError
from uncle_jax.evaluation.audit.verdict import BLIND, LEAK, WITHIN


def test_draws_are_paired_with_the_references():
    told = Finding("relearning", [50.0, 52.0, 51.0], [40.0, 41.0, 42.0], [80.0, 82.0, 84.0]).told()
    assert told["gap"][0] == 10
    assert told["power"] == [41.0, pytest.approx(38.516, abs=1e-3), pytest.approx(43.484, abs=1e-3)]
    assert (told["draws"], told["unlearned"], told["reference"]) == (3, 51, 41)
    assert told["verdict"] == LEAK


@pytest.mark.parametrize(
    ("unlearned", "reference", "power", "told"),
    [
        ([10.0, 11, 9], [10.0, 11, 9], [90.0, 91, 89], WITHIN),
        ([10.0, 11, 9], [10.0, 11, 9], [10.0, 11, 9], BLIND),
        ([10.0, 11, 9], [10.0, 11, 9], [], BLIND),
        ([90.0, 91, 89], [10.0, 11, 9], [], LEAK),
        ([90.0, 91, 89], [], [90.0, 91, 89], UNREFERENCED),
        ([math.nan, 1, 2], [10.0, 11, 9], [90.0, 91, 89], BLIND),
    ],
)
def test_what_is_said(unlearned, reference, power, told):
    found = Finding("any", unlearned, reference, power).told()
    assert found["verdict"] == told
    json.dumps(found, allow_nan=False)


def test_what_draws_nothing_has_the_images_error():
    """A constant answer is right on a tenth of 100 images, of which 3 is the standard deviation."""
    told = Finding("rounding", [12.0], [10.0], [95.0], spread=3.0).told()
    assert told["gap"] == pytest.approx([2, 2 - 5.88, 2 + 5.88])
    assert told["verdict"] == WITHIN
    assert Finding("rounding", [30.0], [10.0], [95.0], spread=3.0).told()["verdict"] == LEAK


def test_an_audit_draws_at_least_once():
    with pytest.raises(UncleError, match="draws must be at least 1"):
        StoreAudit(draws=0)
