"""The examples of README, docs/ and the notebooks run as they stand, commands parse, links lead."""

import dataclasses
import re
import shlex
from pathlib import Path

import matplotlib
import pytest
from conftest import Small

import uncle_jax
from uncle_jax.cli import arguments, tune
from uncle_jax.cli.main import COMMANDS, module_of
from uncle_jax.cli.settings import described
from uncle_jax.core import backbones
from uncle_jax.methods import registry
from uncle_jax.presets import PRESETS, Preset
from uncle_jax.runs.spec import set_changes

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "BUILD.md", ROOT / "CONTRIBUTING.md", *DOCS]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.py"))
MOST_LINES = {"README.md": 150, "BUILD.md": 130, "CONTRIBUTING.md": 40}


def examples(text):
    """The code of each ```python block; ```py is for what needs a download."""
    return re.findall(r"^```python\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


def commands(text):
    """The words after `uncle` in each command of a text: in code blocks, and whole ones in lines.

    Lines that end in a backslash go on. "..." and words such as DATASET stand for others, so those
    are left out.
    """
    text = text.replace("\\\n", " ")
    blocks = re.findall(r"^ {4,}(\S.*)|^(uncle .*)", text, re.MULTILINE)
    shown = [part for pair in blocks for line in pair for part in re.split(r" +&& +", line)]
    inline = re.findall(r"`(uncle [^`]*)`", text)
    words = [shlex.split(line, comments=True) for line in shown if line.startswith("uncle ")]
    words += [shlex.split(one) for one in inline if " --" in one or one.startswith("uncle list ")]
    return [one[1:] for one in words if not {"...", "DATASET"} & set(one)]


WITH_EXAMPLES = [page for page in PAGES if examples(page.read_text("utf-8"))]
COMMAND_LINES = {shlex.join(words): words for page in PAGES for words in commands(page.read_text())}


@pytest.fixture
def small(monkeypatch, tmp_path):
    """The preset that all examples name, made small, and for the ResNet a network that compiles in
    a moment: examples train, and what they share is compiled once for all of them."""
    monkeypatch.setattr(backbones, "from_config", lambda config, n_classes: Small(n_classes))
    preset = PRESETS["permuted-digits"]["laptop"]
    config = dataclasses.replace(preset.config, epochs=1)
    hyper = dataclasses.replace(preset.uncle, trunk=(8, 16), embedding=4, chunks=8, burn_in=3)
    small = {"laptop": Preset(config, preset.command, hyper)}
    monkeypatch.setitem(PRESETS, "permuted-digits", small)
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: page.stem)
def test_a_page_runs_from_its_first_block_to_its_last(page, small):
    scope: dict = {"__name__": "docs"}
    for example in examples(page.read_text("utf-8")):
        exec(compile(example, page.name, "exec"), scope)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_a_notebook_runs(notebook, small, capsys):
    exec(compile(notebook.read_text("utf-8"), notebook.name, "exec"), {"__name__": "notebook"})
    assert "'unlearned': [" in capsys.readouterr().out
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize("words", COMMAND_LINES.values(), ids=COMMAND_LINES.keys())
def test_a_command_is_one_that_there_is(words, monkeypatch):
    monkeypatch.chdir(ROOT)
    command, *rest = words
    assert command in COMMANDS
    if set(rest) & {"--help"}:
        return
    args = module_of(command).parser().parse_args(rest)
    if command in ("run", "tune"):
        if command == "tune":
            args.methods = args.methods or ["uncle"]
        methods = [args.method] if command == "run" else args.methods
        config = arguments.chosen_preset(args).config
        set_changes(arguments.asked_changes(args), config, methods)
        if args.requests:
            uncle_jax.parse(args.requests)
    if command == "tune":
        tune.grids_of(args)


def test_settings_on_the_page_of_methods_are_those_that_there_are():
    text = (ROOT / "docs" / "methods.md").read_text("utf-8")
    shown = re.findall(r"^\| `([\w-]+)\.(\w+)` \| (\S+) \|", text, re.MULTILINE)
    defaults = {}
    for name in registry.METHODS:
        own = registry.settings_of(name, registry.find(name), {})
        defaults |= {(name, s.name): s.default for s in described(own)} if own else {}
    assert {(name, key): value for name, key, value in shown}.items() <= defaults.items()
    keys = {key for _, key, _ in shown}
    assert {key for _, key in defaults} <= keys  # each key stands under one method at least


def test_commands_are_found():
    assert {words[0] for words in COMMAND_LINES.values()} == set(COMMANDS)
    assert len(COMMAND_LINES) > 40


def test_files_named_in_the_picture_exist():
    picture = README.split("## Where things are")[1]
    names = set(re.findall(r"[a-z_/]+\.py", picture)) | set(re.findall(r"^\w+/", picture, re.M))
    assert len(names) > 10
    for name in names:
        assert any((ROOT / base / name).exists() for base in (".", "uncle_jax")), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_files_named_on_a_page_exist(page):
    files = r"`((?:\w+/)+\w+\.py|benchmarks/[\w/.]+|results/[\w/.-]+)`"
    for name in re.findall(files, page.read_text("utf-8")):
        assert any((ROOT / base / name).exists() for base in (".", "uncle_jax")), name


def test_the_picture_names_every_package():
    packages = {path.parent.name for path in (ROOT / "uncle_jax").glob("*/__init__.py")}
    assert packages == set(re.findall(r"^(\w+)/ ", README, re.M))


def test_links_lead_to_files():
    for page in PAGES:
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


def test_the_reference_names_every_public_name():
    text = (ROOT / "docs" / "reference.md").read_text("utf-8")
    named = dict(re.findall(r"\[`(\w+)`\]\[uncle_jax\.([\w.]+)\.\1\]", text))
    assert named == uncle_jax.NAMES


@pytest.mark.parametrize("name", MOST_LINES)
def test_what_is_read_first_is_short(name):
    lines = (ROOT / name).read_text("utf-8").splitlines()
    assert len(lines) <= MOST_LINES[name], f"{name} has {len(lines)} lines: move some to docs/"


def test_every_public_name_can_be_imported():
    for name in uncle_jax.__all__:
        assert getattr(uncle_jax, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = uncle_jax.nothing_like_it
