"""Where commands keep compiled programs, and that nothing about it ends a command."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import pytest

from uncle_jax.errors import UncleError
from uncle_jax.runs import compiled
from uncle_jax.runs.compiled import default_folder, keep_compiled, unusable

SETTINGS = (
    "jax_compilation_cache_dir",
    "jax_compilation_cache_max_size",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)
PROGRAM = """
import sys
from uncle_jax.runs.compiled import keep_compiled
keep_compiled(None)
import jax, jax.numpy as jnp
hits = []
jax.monitoring.register_event_listener(lambda name, **_: hits.append(name))
print(float(jax.jit(lambda x: jnp.sin(x) + 2)(0.0)))
print(sum(name.endswith("cache_hits") for name in hits))
"""


@pytest.fixture
def settings(monkeypatch, tmp_path):
    """What keep_compiled sets; the user has said nothing, and lives in tmp_path."""
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    for name in (compiled.THEIRS, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with warnings.catch_warnings():
        yield lambda: tuple(getattr(jax.config, name) for name in SETTINGS[:2])
    for name, value in before.items():
        jax.config.update(name, value)


def test_by_default_they_are_kept_in_the_users_cache_within_bounds(settings, tmp_path, capsys):
    keep_compiled(None)
    folder = default_folder()
    assert folder.parent == tmp_path / ".cache" / "uncle_jax"
    assert settings() == (str(folder), compiled.MOST)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert capsys.readouterr() == ("", "")


def test_what_the_user_set_stays_as_it_is(settings, tmp_path, monkeypatch):
    most = settings()[1]
    monkeypatch.setenv(compiled.THEIRS, str(tmp_path / "theirs"))
    keep_compiled(None)
    assert settings() == (str(tmp_path / "theirs"), most)
    keep_compiled(str(tmp_path / "asked"))
    assert settings() == (str(tmp_path / "asked"), most)
    keep_compiled("none")
    assert settings()[0] is None


def test_a_cache_home_elsewhere_is_used_if_it_is_absolute(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert default_folder().parent == tmp_path / "x" / "uncle_jax"
    monkeypatch.setenv("XDG_CACHE_HOME", "x")  # the XDG specification: to be ignored
    assert default_folder().parent == tmp_path / ".cache" / "uncle_jax"


def test_a_home_that_cannot_be_written_is_one_line(settings, tmp_path, capsys):
    (tmp_path / ".cache").write_text("a file")
    keep_compiled(None)
    assert settings()[0] is None
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("note: compiled programs are not kept: ")
    assert "cannot be written (" in err


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners here")
def test_the_default_folder_must_be_the_users_own(settings, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "c"
    assert unusable(folder, ours=True) is None
    folder.chmod(0o777)
    assert unusable(folder, ours=True) == "can be written by others"
    assert unusable(folder, ours=False) is None  # a folder that somebody chose to share
    folder.chmod(0o700)
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    assert unusable(folder, ours=True) == "is another user's"
    default_folder().mkdir(parents=True)
    keep_compiled(None)
    assert settings()[0] is None
    assert "another user's" in capsys.readouterr().err


def test_a_folder_that_was_asked_for_is_had_or_refused(settings, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UncleError, match=r"--compile-cache .*file.* cannot be written"):
        keep_compiled(str(tmp_path / "file"))
    with pytest.raises(UncleError, match="is inside the store"):
        keep_compiled(str(tmp_path / "store" / "c"), apart_from=tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_damaged_entry_is_compiled_again_without_a_word(tmp_path):
    unset = {"JAX_COMPILATION_CACHE_DIR", "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"}
    env = {name: value for name, value in os.environ.items() if name not in unset}
    env |= {"XDG_CACHE_HOME": str(tmp_path), "JAX_PLATFORMS": "cpu"}

    def run():
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout.split()

    assert run() == ["2.0", "0"]
    (_, hits) = run()
    assert int(hits) > 0
    for entry in Path(tmp_path).rglob("*-cache"):
        entry.write_bytes(entry.read_bytes()[:100])
    assert run() == ["2.0", "0"]
