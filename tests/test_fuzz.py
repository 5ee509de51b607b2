"""Whatever is typed or read ends in a result that holds, or in one line: never in a traceback.

A few examples of each property here; `make soak` tries them for ten minutes.
"""

import contextlib
import dataclasses
import io
import string
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import storing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from uncle_jax.config import Config, Uncle, read_into
from uncle_jax.data.load import Choice, load_benchmark
from uncle_jax.data.publishers.prepared import Options
from uncle_jax.errors import UncleError
from uncle_jax.requests import parse
from uncle_jax.runs.spec import set_changes
from uncle_jax.store import checkpoint
from uncle_jax.store.recovery import open_store

SOAK_SECONDS = 600
WORDS = st.text(st.sampled_from([*string.printable, "→", "é", "\N{SNOWMAN}", "\0"]), max_size=20)
NAMES = st.text(
    st.characters(blacklist_characters="/\0", blacklist_categories=("Cs",)), min_size=1, max_size=60
).filter(lambda name: name.strip(".") and len(name.encode()) <= 200)


def over(*strategies):
    """A property of what `strategies` draw, not yet a test: `tried` makes one."""

    def mark(prop):
        prop.over = strategies
        return prop

    return mark


def outcome(function, *args):
    """What `function` returns, or None if it refuses in one line."""
    try:
        return function(*args)
    except UncleError as error:
        refusal = str(error)
    assert refusal.strip()
    assert len(refusal.splitlines()) == 1
    return None


@over(st.one_of(WORDS, st.text("LU0123456789 ,->", max_size=30)))
def requests_text(text):
    asked = outcome(parse, text)
    if asked is not None:
        assert parse(" ".join(map(str, asked))) == asked


@over(
    st.sampled_from([Config(), Uncle()]),
    st.data(),
    st.one_of(WORDS, st.integers().map(str), st.floats().map(str), st.text("0123456789,.-e")),
)
def settings_text(usual, data, text):
    key = data.draw(st.sampled_from([field.name for field in dataclasses.fields(usual)]))
    changed = outcome(read_into, usual, {key: text}, "setting")
    if changed is not None:
        assert dataclasses.replace(changed) == changed  # held to its bounds
        assert isinstance(hash(changed), int)


@over(
    st.lists(st.one_of(WORDS, WORDS.map("gamma={}".format), WORDS.map("{}=1".format)), max_size=3)
)
def settings_of_the_command(items):
    outcome(set_changes, items, Config(), ["uncle"])


def shifted(by):
    return lambda labels: labels + by


def one_pixel(value):
    return lambda x: np.where(np.arange(x.size).reshape(x.shape) == 7, value, x / 255)


IMAGES = {
    "as they are": lambda x: x,
    "floats": lambda x: (x / 255).astype(np.float32),
    "halves": lambda x: (x / 255).astype(np.float16),
    "floats in 0..255": lambda x: x.astype(np.float64),
    "in -1..1": lambda x: (x / 127.5 - 1).astype(np.float32),
    "standardised": lambda x: ((x - x.mean()) / x.std()).astype(np.float32),
    "nan": one_pixel(np.nan),
    "infinite": one_pixel(np.inf),
    "16 bits": lambda x: x.astype(np.uint16) * 16,
    "signed": lambda x: x.astype(np.int64) - 9,
    "bool": lambda x: x > 99,
    "text": lambda x: x.astype(str),
    "complex": lambda x: x.astype(complex),
    "objects": lambda x: x.astype(object),
    "channels first": lambda x: np.moveaxis(x, -1, 1),
    "no channel": lambda x: x[..., 0],
    "two channels": lambda x: np.repeat(x[..., :1], 2, -1),
    "four channels": lambda x: np.repeat(x[..., :1], 4, -1),
    "flat": lambda x: x.reshape(len(x), -1),
    "no height": lambda x: x[:, :0],
    "none": lambda x: x[:0],
    "one fewer": lambda x: x[1:],
    "of no dimension": lambda x: x[0, 0, 0, 0],
    "another size": lambda x: x[:, 1:],
}
LABELS = {
    "as they are": lambda y: y,
    "from 1": shifted(1),
    "from 20": shifted(20),
    "from -1": shifted(-1),
    "one 255": lambda y: np.where(np.arange(len(y)) == 0, 255, y),
    "bytes": lambda y: y.astype(np.uint8),
    "floats": lambda y: y.astype(np.float32),
    "halves": lambda y: y + 0.5,
    "nan": lambda y: np.where(y == 1, np.nan, y),
    "a column": lambda y: y[:, None],
    "one hot": lambda y: np.eye(3)[y],
    "text": lambda y: y.astype(str),
    "a class less": lambda y: np.where(y == 1, 0, y),
    "one fewer": lambda y: y[1:],
    "none": lambda y: y[:0],
    "of no dimension": lambda y: y[0],
}
KEYS = ("x_train", "y_train", "x_test", "y_test")


@st.composite
def npz_arrays(draw):
    """Arrays of a task as they should be, but for one or two of them."""
    size, channels = draw(st.integers(4, 7)), draw(st.sampled_from([1, 3]))
    pixels = np.random.RandomState(draw(st.integers(0, 9))).randint(0, 256, (12, size, 5, channels))
    found = {key: np.arange(12) % 3 if key[0] == "y" else pixels.astype(np.uint8) for key in KEYS}
    for _ in range(draw(st.integers(0, 2))):
        changes = draw(st.sampled_from([IMAGES, LABELS]))
        change = changes[draw(st.sampled_from([*changes]))]
        keys = [key for key in KEYS if (key[0] == "y") == (changes is LABELS)]
        for key in draw(st.lists(st.sampled_from(keys), min_size=1, max_size=2, unique=True)):
            with contextlib.suppress(Exception):  # two changes that do not go together
                found[key] = change(found[key])
    if draw(st.integers(0, 9)) == 0:
        del found[draw(st.sampled_from(KEYS))]
    return found


@over(npz_arrays(), st.integers(0, 9), st.integers(0, 2000))
def npz_contents(found, cut, length):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t0.npz"
        np.savez(path, **found)
        if cut == 0:
            path.write_bytes(path.read_bytes()[:length])
        held(outcome(own, f"npz:{folder}"))


MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "F")
FORMATS = ("PNG", "JPEG", "GIF", "TIFF", "BMP", "WEBP", "PPM", "TGA", "ICO")


@over(st.lists(st.tuples(*[st.sampled_from(s) for s in (MODES, FORMATS)]), max_size=3), st.data())
def image_modes(kinds, data):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for split in ("train", "test"):
            for name in ("a", "b"):
                (root / split / name).mkdir(parents=True)
                for index, (mode, form) in enumerate([*kinds, ("L", "PNG")]):
                    raw = picture(data, mode, form)
                    if raw is not None:
                        (root / split / name / f"{index}.{form.lower()}").write_bytes(raw)
        held(outcome(own, f"folder:{folder}"))


def picture(data, mode, form):
    """The bytes of an image file, perhaps cut short; None if Pillow cannot write it."""
    size = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    drawn = np.random.RandomState(data.draw(st.integers(0, 9))).uniform(0, 255, (*size, 3))
    image = Image.fromarray(drawn.astype(np.uint8))
    file = io.BytesIO()
    try:
        grey_first = mode in ("I", "I;16", "F", "PA")
        (image.convert("L") if grey_first else image).convert(mode).save(file, form)
    except (ValueError, OSError, KeyError):
        return None
    raw = file.getvalue()
    return raw[: data.draw(st.integers(0, len(raw)))] if data.draw(st.booleans()) else raw


def own(dataset):
    return load_benchmark(dataset, 0, Choice(Options(Path("nowhere")), classes_per_task=2))


def held(benchmark):
    """What a benchmark of one's own promises, if it was not refused."""
    if benchmark is None:
        return
    assert benchmark.spec.image_shape[-1] in (1, 3)
    for task in range(benchmark.n_tasks):
        classes = set(range(benchmark.spec.task(task).n_classes))
        for split in ("train", "test"):
            images, labels = benchmark.load(task, split)
            assert images.ndim == 4  # sizes may differ: they are fitted to the network
            assert len(images) == len(labels) > 0
            assert set(np.unique(labels)) <= classes
            top = 255 if images.dtype == np.uint8 else 1 + 1e-3
            assert np.all(np.isfinite(images))
            assert -1e-3 <= images.min() <= images.max() <= top


@over(NAMES)
def store_paths(name):
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / name
        with storing.new_store(place) as store:
            before = checkpoint.tree_hash(storing.load(store))
        with open_store(place, write=True) as store:
            assert checkpoint.tree_hash(storing.load(store)) == before


PROPERTIES = {
    requests_text: 100,
    settings_text: 100,
    settings_of_the_command: 50,
    npz_contents: 40,
    image_modes: 15,
    store_paths: 4,
}
"""And how many examples of each are tried here."""
NEVER_MIND = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]


def tried(prop, examples, **more):
    """The property under so many examples."""
    usual = {"deadline": None, "database": None, "suppress_health_check": NEVER_MIND}
    return settings(max_examples=examples, **usual, **more)(given(*prop.over)(prop))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    """Checksums of own data go to a cache of the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))


@pytest.mark.parametrize("prop", PROPERTIES, ids=lambda prop: prop.__name__)
def test_a_few_examples(prop):
    tried(prop, PROPERTIES[prop], derandomize=True)()


@pytest.mark.soak
@pytest.mark.parametrize("prop", PROPERTIES, ids=lambda prop: prop.__name__)
def test_many_examples(prop, capsys):
    end, examples = time.monotonic() + SOAK_SECONDS / len(PROPERTIES), 0
    while time.monotonic() < end:
        tried(prop, PROPERTIES[prop])()
        examples += PROPERTIES[prop]
    with capsys.disabled():
        print(f"\n{prop.__name__}: {examples} examples, none ended in a traceback")
