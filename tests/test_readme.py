"""The examples of README and docs/ run as they stand, and name what exists."""

import re
from pathlib import Path

import jax
import pytest

import uncle_jax

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted((ROOT / "docs").glob("*.md"))
MOST_LINES = {"README.md": 150, "BUILD.md": 130, "CONTRIBUTING.md": 40}


def examples(text):
    """The code of each ```python block; ```python notest is for those that need a download."""
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def optimised():
    """XLA's optimisations back on (conftest turns them off): the examples train."""
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.mark.parametrize("example", examples(README), ids=lambda text: text.split("\n")[-2][:30])
def test_examples_run(example, capsys, optimised):
    scope: dict = {}
    exec(compile(example, "README.md", "exec"), scope)
    assert capsys.readouterr().out
    assert uncle_jax.describe(scope["state"])["unlearned"]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if examples(page.read_text("utf-8"))], ids=lambda page: page.stem
)
def test_a_page_of_docs_runs_from_its_first_block_to_its_last(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scope: dict = {"__name__": "docs"}
    for example in examples(page.read_text("utf-8")):
        exec(compile(example, page.name, "exec"), scope)


def test_files_named_in_the_picture_exist():
    picture = README.split("## Where things are")[1]
    names = set(re.findall(r"[a-z_/]+\.py", picture)) | set(re.findall(r"^\w+/", picture, re.M))
    assert len(names) > 10
    for name in names:
        assert any((ROOT / base / name).exists() for base in (".", "uncle_jax")), name


def test_the_picture_names_every_package():
    packages = {path.parent.name for path in (ROOT / "uncle_jax").glob("*/__init__.py")}
    assert packages == set(re.findall(r"^(\w+)/ ", README, re.M))


def test_links_lead_to_files():
    for page in (*ROOT.glob("*.md"), *PAGES):
        for target in re.findall(r"\]\(([^)#:]+)[^)]*\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_reference_names_every_public_module():
    named = re.findall(r"^::: (\S+)$", (ROOT / "docs" / "reference.md").read_text("utf-8"), re.M)
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in (ROOT / "uncle_jax").rglob("*.py")
        if not path.name.startswith("__") and "cli" not in path.parts
    }
    assert sorted(named) == sorted({"uncle_jax", *modules})


@pytest.mark.parametrize("name", MOST_LINES)
def test_what_is_read_first_is_short(name):
    lines = (ROOT / name).read_text("utf-8").splitlines()
    assert len(lines) <= MOST_LINES[name], f"{name} has {len(lines)} lines: move some to docs/"


def test_every_public_name_can_be_imported():
    for name in uncle_jax.__all__:
        assert getattr(uncle_jax, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = uncle_jax.nothing_like_it
