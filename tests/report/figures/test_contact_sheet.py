import numpy as np

from uncle_jax.report.figures.contact_sheet import CONTACT_CLASSES, examples, plot_contact_sheet
from uncle_jax.tasks import Data


def test_examples_are_of_each_class():
    data = Data(np.arange(6, dtype=np.uint8).reshape(6, 1, 1, 1), np.array([1, 0, 1, 0, 1, 0]))
    found = examples(data, ["cat", "dog"])
    assert [(name, int(image.item())) for name, image in found] == [
        ("cat", 1), ("cat", 3), ("dog", 0), ("dog", 2),
    ]  # fmt: skip
    many = Data(np.zeros((99, 1, 1, 1), np.uint8), np.arange(99))
    assert len(examples(many)) == CONTACT_CLASSES


def test_a_sheet_is_a_png_whatever_the_names(tmp_path):
    grey, colour = np.zeros((4, 4, 1), np.uint8), np.ones((3, 5, 3), np.float32)
    rows = {"task 0": [("$x$ \N{SNOWMAN}", grey), ("b", grey)], "task 1": [("c" * 99, colour)]}
    plot_contact_sheet(tmp_path / "data.png", rows, "folder:$a_b$")
    assert (tmp_path / "data.png").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["data.png"]
