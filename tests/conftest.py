"""What several test modules share: a tiny learner whose every step takes milliseconds."""

import gc
import importlib.util
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

# Most of the suite's time is compilation: no optimisations, here and in the processes that tests
# start; results are compared with tolerances either way.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
# Threads of their own for operations as small as the tests' cost more than they save.
FLAGS = os.environ.get("XLA_FLAGS", "")
if "xla_cpu_multi_thread_eigen" not in FLAGS:
    os.environ["XLA_FLAGS"] = f"{FLAGS} --xla_cpu_multi_thread_eigen=false".strip()
# Many tests compile the same: both workers, and those processes, share what was compiled. A folder
# of its own for each session.
COMPILED = "JAX_COMPILATION_CACHE_DIR"
OURS = COMPILED not in os.environ
if OURS:
    os.environ[COMPILED] = tempfile.mkdtemp(prefix="uncle_jax_tests_")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

import flax.linen as nn
import jax
import numpy as np
import pytest

from uncle_jax.config import Config, Uncle
from uncle_jax.core import backbones
from uncle_jax.core import layout as layouts
from uncle_jax.data.benchmark import Benchmark
from uncle_jax.tasks import Data, InputSpec

MOST_MAPPINGS = 30_000
TINY = Config(
    backbone="thin",
    stem="small",
    width=4,
    image_size=None,
    epochs=2,
    batch_size=16,
    eval_batch_size=16,
)
HYPER = Uncle(trunk=(8, 16), embedding=4, chunks=7, burn_in=10, burn_in_floor=2, norm_calibration=3)
SPEC = InputSpec((6, 6, 1), 3, (0.5,), (0.25,))


class Given(NamedTuple):
    """A main network with its settings."""

    module: nn.Module
    config: Config


class Linear(nn.Module):
    """A linear main network: its gradients are known."""

    n_outputs: int = 6

    @nn.compact
    def __call__(self, x, train):
        return nn.Dense(self.n_outputs)(x.reshape(len(x), -1))


def pytest_unconfigure() -> None:
    """The folder goes with the process that made it."""
    if OURS:
        shutil.rmtree(os.environ[COMPILED], ignore_errors=True)


def same(a, b) -> bool:
    """Whether two trees are alike bit by bit."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


def command_of(script: Path) -> Any:
    """A script of experiments/, as a module."""
    spec = importlib.util.spec_from_file_location(f"{script.stem}_command", script)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True, scope="module")
def _few_programs():
    """Forgets compiled programs in time: a process may have 65,530 mappings (vm.max_map_count).

    The whole suite in one process would have more, and then end in a segmentation fault.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > MOST_MAPPINGS:
        jax.clear_caches()
        gc.collect()


@pytest.fixture(scope="session")
def spec() -> InputSpec:
    return SPEC


@pytest.fixture
def collected():
    """What Orbax leaves of half-written checkpoints ends with this test, under its filters."""
    yield
    gc.collect()


class Small(nn.Module):
    """A main network with norm statistics that compiles in a moment."""

    n_classes: int = 3
    normed: bool = True

    @nn.compact
    def __call__(self, x, train):
        x = nn.Dense(12)(x.reshape(len(x), -1))
        if self.normed:
            x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        return nn.Dense(self.n_classes)(nn.relu(x))


@pytest.fixture
def small_networks(monkeypatch):
    """Commands, which take no main network, have `Small` for a ResNet."""
    monkeypatch.setattr(backbones, "from_config", lambda config, n_classes: Small(n_classes))


TESTS = Path(__file__).resolve().parent


def with_devices(n: int) -> dict[str, str]:
    """The environment of a process in tests/ whose CPU pretends to be `n` devices."""
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={n}"
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    threads = str(max(8, 2 * n))  # devices that lack one wait for each other for ever
    return {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": path, "NPROC": threads}


class Heads(nn.Module):
    """A main network with a head for each of four tasks, and nothing else that wide."""

    normed: bool = True

    @nn.compact
    def __call__(self, x, train):
        x = nn.Dense(10)(x.reshape(len(x), -1))
        if self.normed:
            x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        return nn.Dense(4 * 3)(nn.relu(x))


@pytest.fixture(scope="session")
def tiny_layout() -> layouts.Layout:
    """A small layout with whole and ragged columns in all three heads."""
    shapes = {
        "conv": {"kernel": np.zeros((3, 3, 2, 4))},
        "norm": {"scale": np.zeros(8), "bias": np.zeros(4)},
        "proj_conv": {"kernel": np.zeros((1, 1, 4, 8))},
        "dense": {"kernel": np.zeros((8, 3)), "bias": np.zeros(3)},
    }
    return layouts.make_layout(shapes, chunks=5)


def blobs(seed: int, n: int = 48) -> Data:
    """Three easily told classes of 6x6 grey images, different ones for each seed."""
    rng = np.random.RandomState(seed)
    centres = np.random.RandomState(1000 + seed // 2).uniform(0, 255, (3, 6, 6, 1))
    labels = rng.randint(0, 3, n).astype(np.int32)
    images = np.clip(centres[labels] + rng.normal(0, 20, (n, 6, 6, 1)), 0, 255)
    return Data(images.astype(np.uint8), labels)


@pytest.fixture(scope="session")
def blob_benchmark() -> Benchmark:
    """Four tasks of blobs, as arrays of one's own."""
    tasks = [{"train": blobs(2 * t), "test": blobs(2 * t + 1)} for t in range(4)]
    return Benchmark.from_arrays(tasks, mean=SPEC.mean, std=SPEC.std)


def assert_trees_close(a, b, rtol: float) -> None:
    """Every leaf of `a` within `rtol` of `b`, relative to the leaf's largest value."""
    for (path, x), y in zip(
        jax.tree_util.tree_leaves_with_path(a), jax.tree.leaves(b), strict=True
    ):
        scale = float(np.max(np.abs(y))) or 1.0
        error = float(np.max(np.abs(np.asarray(x) - np.asarray(y)))) / scale
        assert error <= rtol, f"{jax.tree_util.keystr(path)}: {error:.2e} > {rtol}"
