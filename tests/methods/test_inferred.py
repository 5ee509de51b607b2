"""What is inferred is called inferred: the documents and the tables say the same."""

import dataclasses
import re
from pathlib import Path

import pytest

from uncle_jax.methods import registry
from uncle_jax.methods.inferred import DERPP, OWN

PAGE = Path(__file__).resolve().parents[2] / "docs" / "methods.md"
SAID = {
    (method, key)
    for method, key, told in re.findall(
        r"^\| `([a-z-]+)\.([a-z_]+)` \|[^|]*\|(.*)\|$", PAGE.read_text(encoding="utf-8"), re.M
    )
    if "inferred" in told
}
ELSEWHERE = {  # said of another method's setting, or in words
    ("uniclun", "retain_fraction"),
    ("lwsf", "optimiser"),
    *(("gkt-hnet", key) for key in OWN["gkt-hnet"]),
}
OURS = {("refit", "refit_steps"), ("refit", "refit_lr")}  # a method of ours has no other author


def test_the_page_says_what_tables_mark():
    marked = {(method, key) for method, keys in OWN.items() for key in keys}
    marked |= {("derpp", key) for key in DERPP}
    assert marked - ELSEWHERE == SAID - OURS


@pytest.mark.parametrize("method", registry.METHODS)
def test_they_are_settings_that_there_are(method):
    settings = registry.settings_of(method, registry.find(method), {})
    fields = set() if settings is None else {one.name for one in dataclasses.fields(settings)}
    assert {*OWN.get(method, ())} <= fields | {"optimiser"}
    assert method not in registry.ON_DERPP or {*DERPP} <= fields
    assert (method in registry.ON_DERPP) == (
        hasattr(settings, "buffer_per_task") and method not in ("lwsf", "pall")
    )
