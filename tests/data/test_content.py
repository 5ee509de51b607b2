"""Results belong to their data: a checksum of own data, kept while nothing changes."""

import os
import time

import pytest

from uncle_jax.data import content as contents
from uncle_jax.data.content import cache_file, content
from uncle_jax.errors import UncleError


@pytest.fixture
def files(tmp_path):
    for name, text in (("a", "one"), ("b", "two")):
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / name).write_text(text)
        os.utime(tmp_path / "set" / name, (1, 1))
    return sorted((tmp_path / "set").iterdir())


def of(files):
    return content(files[0].parent, files)


def test_it_changes_with_bytes_and_names_and_with_nothing_else(files, tmp_path):
    before = of(files)
    assert of(files[::-1]) == before
    moved = tmp_path / "moved"
    files[0].parent.rename(moved)
    files = sorted(moved.iterdir())
    assert of(files) == before
    files[0].write_text("eno")  # as long
    os.utime(files[0], (1, 1))
    changed = of(files)
    assert changed != before
    files[0].write_text("one")
    assert of(files) == before
    files[0].rename(moved / "c")
    assert of(sorted(moved.iterdir())) != before


def test_it_is_read_once(files, monkeypatch):
    later = time.time() + 10
    monkeypatch.setattr(contents.time, "time", lambda: later)  # the files are settled
    first = of(files)
    assert cache_file().is_file()
    monkeypatch.setattr(contents, "digest", lambda path: 1 / 0)
    assert of(files) == first


@pytest.mark.parametrize("held", ["", "[]", '{"a": 1}', "{"])
def test_a_damaged_cache_costs_time_only(files, held):
    first = of(files)
    cache_file().parent.mkdir(parents=True, exist_ok=True)
    cache_file().write_text(held)
    assert of(files) == first


def test_a_cache_that_cannot_be_written_costs_time_only(files, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    later = time.time() + 10
    monkeypatch.setattr(contents.time, "time", lambda: later)
    assert of(files) == of(files)


def test_a_file_that_is_gone_is_named(files):
    files[0].unlink()
    with pytest.raises(UncleError, match=r"cannot read .*a"):
        of(files)
