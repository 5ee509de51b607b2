"""What a run records of where it ran."""

import json
import subprocess

import jax
import pytest

from uncle_jax.runs import environment as module
from uncle_jax.runs.environment import environment


def test_it_tells_versions_device_and_flags(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=false")
    told = environment()
    assert json.loads(json.dumps(told)) == told
    assert told["versions"]["jax"] == jax.__version__
    assert told["device"]["platform"] == jax.devices()[0].platform
    assert told["xla_flags"] == "--xla_cpu_enable_fast_math=false"
    assert told["processor"]


def test_a_package_that_is_not_installed_has_no_version():
    assert module._version("no-such-package-at-all") is None


def git(where, *words):
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(where), *who, *words], check=True, capture_output=True)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """The module as if it lay in a clone of its own."""
    place = tmp_path / "clone"
    (place / "uncle_jax" / "runs").mkdir(parents=True)
    (place / "uncle_jax" / "runs" / "environment.py").write_text("x = 1\n")
    monkeypatch.setattr(module, "__file__", str(place / "uncle_jax/runs/environment.py"))
    git(tmp_path, "init", "-q", str(place))
    git(place, "add", "-A")
    git(place, "commit", "-qm", "first")
    return place


def test_the_commit_of_the_source_and_whether_it_is_changed(clone):
    commit = module._commit()
    assert commit
    assert len(commit) == 40
    (clone / "new").touch()  # untracked: the source is as it was
    assert module._commit() == commit
    (clone / "uncle_jax/runs/environment.py").write_text("x = 2\n")
    assert module._commit() == commit + "+"


def test_an_installed_package_in_somebodys_clone_has_no_commit(clone, monkeypatch):
    inside = clone / "site-packages" / "uncle_jax" / "runs" / "environment.py"
    inside.parent.mkdir(parents=True)
    monkeypatch.setattr(module, "__file__", str(inside))
    assert module._commit() is None


def test_without_git_there_is_no_commit(clone, monkeypatch):
    monkeypatch.setenv("PATH", str(clone))
    assert module._commit() is None
