"""The method that a store's settings name."""

from types import SimpleNamespace

import pytest

from uncle_jax.engine.learner import learner
from uncle_jax.errors import UncleError


def test_a_store_names_no_code_to_run(tmp_path):
    (tmp_path / "evil.py").write_text("raise SystemExit('it ran')")
    identity = {"method": f"{tmp_path / 'evil.py'}:mine"}
    with pytest.raises(UncleError, match="unknown method"):
        learner(SimpleNamespace(identity=identity, folder=tmp_path))
