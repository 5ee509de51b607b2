"""A table as text."""

from uncle_jax.report.compare import Table
from uncle_jax.report.formats import as_latex, as_markdown, escaped, print_fitted

HEAD = ["method", "reads", "RA", "FA"]
BODY = [["ssd", "its buffer", "90.00", "10.5"], ["uncle", "nothing", "95.00 ± 1.00", "-"]]
FORM = Table("cifar100, preset laptop: L0_U0", HEAD, BODY, {(1, 2)}, ["50 %"], frozenset({(0, 2)}))


def test_latex_escapes():
    assert escaped(r"a_b 5% #1 {x} ~ ^ \ & $ 1.0 ± 0.2 jit-hnet") == (
        r"a\_b 5\% \#1 \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} \& \$ "
        r"1.0 $\pm$ 0.2 jit-hnet"
    )
    assert escaped("-") == "--"


def test_markdown_escapes():
    form = Table("t", ["a", "b"], [["x|y", "z"]], set(), [])
    assert r"| x\|y | z |" in as_markdown(form)


def test_latex_is_a_table_of_booktabs_with_caption_and_label():
    text = as_latex(FORM)
    assert r"  \caption{cifar100, preset laptop: L0\_U0. Mean $\pm$ sample" in text
    assert r"\label{tab:cifar100-preset-laptop}" in text
    assert r"    ssd & its buffer & \underline{90.00} & 10.5 \\" in text
    assert r"    uncle & nothing & \textbf{95.00 $\pm$ 1.00} & -- \\" in text
    assert text.index("toprule") < text.index("midrule") < text.index("bottomrule")
    assert r"\par{\footnotesize best in bold, second best underlined}" in text
    assert r"\par{\footnotesize 50 \%}" in text
    for one in ("table", "tabular"):
        assert text.count(rf"\begin{{{one}}}") == text.count(rf"\end{{{one}}}") == 1


def test_a_terminals_table_is_fitted_to_it(capsys):
    for width in (40, 80):
        print_fitted(FORM, width)
        out = capsys.readouterr().out
        assert max(map(len, out.splitlines())) <= width
        words = " ".join(out.split())
        assert all(word in words for word in ("method", "uncle", "90.00", "50 %"))
        assert "*" in out, "marked in a terminal without bold letters too"
    wide = Table("t", [f"metric{n}" for n in range(11)], [["96.00 ± 1.30"] * 11] * 2, set(), [])
    for width in (80, 100, 200):
        print_fitted(wide, width)
        out = capsys.readouterr().out
        assert out.count("1.30") == 22, "nothing is cut off"
        assert max(map(len, out.splitlines())) <= width


def test_prose_is_not_set_flush_right():
    form = Table("t", ["a", "b", "c", "d"], [["x", "y", "some words here", "1.0"]], set(), [])
    assert "| --- | --- | --- | ---: |" in as_markdown(form)
