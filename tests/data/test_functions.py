"""A function of one's own as a data set: what it may return, and what is told of it."""

from pathlib import Path

import pytest

from uncle_jax.data.functions import function_benchmark
from uncle_jax.data.load import Choice, load_benchmark
from uncle_jax.errors import UncleError
from uncle_jax.runs.spec import RunSpec

EXAMPLE = f"{Path(__file__).parents[2] / 'experiments' / 'own_data.py'}:turned_digits"

TEXT = """
import numpy as np
import uncle_jax

def arrays(seed):
    images = np.random.RandomState(seed).randint(0, 256, (6, 4, 4)).astype(np.uint8)
    return [{s: (images, np.arange(6) % 2) for s in ("train", "test")}] * 3

def whole(seed):
    return uncle_jax.Benchmark.from_arrays(arrays(seed), "mine", provenance={"seed": seed})

def number():
    return 3

def fails():
    raise ValueError("no such disk\\nmore")

def odd():
    return [{"train": arrays(0)[0]["train"]}]
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "data.py"
    path.write_text(TEXT)
    return path


def test_arrays_drawn_by_seed_are_told_by_their_content(file):
    first, again, other = (function_benchmark(f"{file}:arrays", seed) for seed in (0, 0, 1))
    assert (first.name, first.n_tasks, first.spec.image_shape) == ("arrays", 3, (4, 4, 1))
    assert first.provenance == again.provenance
    assert first.provenance["sha256"] != other.provenance["sha256"]
    assert first.provenance["code"] == other.provenance["code"]


def test_a_benchmark_keeps_its_name_and_provenance(file):
    found = load_benchmark(f"{file}:whole", 5, Choice())
    assert found.name == "mine"
    assert found.provenance["seed"] == 5
    assert found.provenance["code"]["file"] == "data.py"


def test_the_example_and_what_its_folder_is_called():
    found = load_benchmark(EXAMPLE, 0, Choice())
    assert (found.n_tasks, found.spec.image_shape) == (4, (8, 8, 1))
    assert RunSpec(EXAMPLE).name == "turned_digits-own-uncle"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("number", "returned a int .allowed: a Benchmark, or a list"),
        ("fails", r"failed \(ValueError: no such disk\)$"),
        ("odd", "task 0 lacks test"),
        ("none", "has no function none"),
    ],
)
def test_what_is_no_data_set_is_told_in_a_line(file, name, told):
    with pytest.raises(UncleError, match=told):
        load_benchmark(f"{file}:{name}", 0, Choice())
