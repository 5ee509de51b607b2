"""Where tests are: those of uncle_jax/a/b.py in tests/a/test_b.py."""

from pathlib import Path

TESTS = Path(__file__).resolve().parent
PACKAGE = TESTS.parent / "uncle_jax"
WITHOUT: dict[str, str] = {}  # modules that have no tests of their own: the reason


def test_every_module_has_a_file_of_tests_of_its_name():
    modules = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if not path.name.startswith("__")
    }
    assert modules
    lacking = {m for m in modules if not (TESTS / m).with_name(f"test_{Path(m).name}").is_file()}
    assert lacking == WITHOUT.keys()
