"""A finished run that compiles nothing, for the tests of audits."""

from pathlib import Path

from uncle_jax.requests import parse
from uncle_jax.runs.attacks import AuditSettings
from uncle_jax.runs.spec import RunSpec

OWN = Path(__file__).resolve().parents[1] / "experiments" / "own_method.py"
SPEC = RunSpec(
    "permuted-digits", method=f"{OWN}:nearest_mean", requests=parse("L0 L1 U0 L2"), seeds=(3,)
)
RELEARNED = AuditSettings(references=1, attacks=("relearning",))
