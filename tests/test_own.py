"""Code of one's own: found by file and name, run once for what it holds, told by its content."""

import hashlib

import pytest

from uncle_jax import own
from uncle_jax.errors import UncleError

TEXT = "with open(__file__ + '.log', 'a') as log:\n    log.write('run')\n"
TEXT += "class Net:\n    pass\nSIZE = 3\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize("name", ["net.py:Net", "/a b/n.py:f", "package.module:f", "C:\\n.py:f"])
def test_what_has_the_form(name):
    assert own.named(name)


@pytest.mark.parametrize("name", ["resnet18", "net.py", "net.py:", "net.py:2", ":f", "a-b:f", ""])
def test_what_has_not(name):
    assert not own.named(name)
    with pytest.raises(UncleError, match=r"network .* is not FILE.py:NAME or MODULE:NAME"):
        own.load(name, "network")


def test_a_file_is_run_once_until_it_changes(file):
    first, second = (own.load(f"{file}:Net", "network") for _ in range(2))
    assert first is second
    log = file.with_name("net.py.log")
    assert log.read_text() == "run"
    file.write_text(TEXT + "# changed\n")
    assert own.load(f"{file}:Net", "network") is not first
    assert log.read_text() == "runrun"


def test_its_source_is_its_content(file):
    told = own.source(own.load(f"{file}:Net", "network"))
    assert told == {"file": "net.py", "sha256": hashlib.sha256(TEXT.encode()).hexdigest()}
    assert own.source(own.load("json:dumps", "method"))["file"] == "__init__.py"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("{file}:Nett", "has no function Nett"),
        ("{file}:SIZE", "has no function SIZE"),
        ("{folder}/none.py:Net", "there is no file"),
        ("{folder}/broken.py:Net", r"cannot import .*broken.py \(no such name\)"),
        ("no_such_module:Net", "cannot import no_such_module"),
    ],
)
def test_what_is_not_there_is_told_in_a_line(file, name, told):
    (file.parent / "broken.py").write_text("raise ValueError('no such name')\n")
    with pytest.raises(UncleError, match=told):
        own.load(name.format(file=file, folder=file.parent), "network")
