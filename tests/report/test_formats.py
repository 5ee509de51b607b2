"""A table as text."""

from uncle_jax.report.compare import Table
from uncle_jax.report.formats import as_markdown, escaped


def test_latex_escapes():
    assert escaped(r"a_b 5% #1 {x} ~ ^ \ & $ 1.0 ± 0.2 jit-hnet") == (
        r"a\_b 5\% \#1 \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} \& \$ "
        r"1.0 $\pm$ 0.2 jit-hnet"
    )
    assert escaped("-") == "--"


def test_markdown_escapes():
    form = Table("t", ["a", "b"], [["x|y", "z"]], set(), [])
    assert r"| x\|y | z |" in as_markdown(form)
