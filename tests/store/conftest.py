"""A store that tests break: made once, copied for each."""

import shutil

import pytest
from storing import Stop, ask, new_store, stop_at

from uncle_jax.store.recovery import open_store


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A store that has learned 0 and 1, unlearned 0, and been stopped while it learned 2."""
    folder = tmp_path_factory.mktemp("template") / "store"
    with new_store(folder) as store:
        for word in ("L0", "L1", "U0"):
            ask(store, word)
        with pytest.raises(Stop):
            ask(store, "L2", on_step=stop_at(40))
    return folder


@pytest.fixture(scope="session")
def goal(template, tmp_path_factory):
    """The state that the template reaches once it has learned 2."""
    folder = shutil.copytree(template, tmp_path_factory.mktemp("goal") / "store")
    with open_store(folder, write=True) as store:
        return ask(store, "L2")["state"]


@pytest.fixture
def folder(template, tmp_path):
    """A copy of it for one test."""
    return shutil.copytree(template, tmp_path / "store")
