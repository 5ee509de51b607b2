"""The paper's Figure 6, of this implementation."""

from drawing import drawn, overlapping, words

from uncle_jax.core.layout import KINDS
from uncle_jax.report.figures.schematic import HEADS, plot_schematic


def test_its_numbers_are_the_runs(tmp_path):
    figure = drawn(plot_schematic, tmp_path / "six.pdf", 32, 200, (128, 256, 512), "ResNet-50")
    told = " ".join(text.get_text() for text in words(figure))
    for part in ("32 numbers", "c_{200}", "128-256-512", "ResNet-50"):
        assert part in told
    assert not overlapping(figure)


def test_heads_are_the_hypernetworks():
    assert tuple(f"{kind} head" for kind in KINDS) == HEADS
