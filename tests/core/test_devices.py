"""A learner on a mesh: as on one device, whatever the mesh."""

import json
import subprocess
import sys

import jax
import numpy as np
import pytest
from conftest import HYPER, TESTS, TINY, Small, with_devices

from uncle_jax.config import Hypernetwork, part
from uncle_jax.core import devices, steps
from uncle_jax.core.network import network
from uncle_jax.errors import UncleError

# Relative: sums over devices are added in another order, and Adam makes as much of a small
# gradient's last digits as of a large one's.
BOUNDS = {"losses": 1e-3, "state": 2e-2, "logits": 5e-3, "gone on": 2e-2, "opened": 2e-2}


@pytest.fixture(scope="module")
def found():
    command = [sys.executable, TESTS / "meshing.py"]
    done = subprocess.run(command, env=with_devices(8), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("shape", ["8x1", "4x2", "1x8"])
def test_requests_end_as_on_one_device(found, shape):
    for what, bound in BOUNDS.items():
        assert found[shape][what] < bound, what
    assert found[shape]["whole"]  # between requests


def test_heads_lie_in_columns_over_the_models_axis(found):
    widths = [int(found[shape]["shards"].strip("()").split(", ")[1]) for shape in found]
    full = network(Small(), (6, 6, 1), TINY, part(Hypernetwork, HYPER)).layout.width("weight")
    assert widths == [full, -(-full // 2), -(-full // 8)]


def test_a_batch_over_data_alone_costs_an_all_reduce_of_the_gradient(found):
    assert found["8x1"]["collectives"]["backward"] == {}
    assert set(found["8x1"]["collectives"]["fit"]) == {"all-reduce"}


def test_without_a_mesh_nothing_is_moved():
    net = network(Small(), (6, 6, 1), TINY, part(Hypernetwork, HYPER))
    state = steps.init(net, 2, jax.random.key(0))
    place = devices.place(net)
    assert (place.mesh, place.net) == (None, net)
    assert place.out(state) is state
    assert place.home(state) is state
    assert place.inflight(None) is None
    batch = np.zeros((4, 6, 6, 1))
    assert devices.over_data(batch) is batch


def test_a_mesh_of_one_device_is_the_same_to_the_bit():
    net = network(Small(), (6, 6, 1), TINY, part(Hypernetwork, HYPER))
    state = steps.init(net, 2, jax.random.key(0))
    with jax.set_mesh(devices.mesh()):
        place = devices.place(net)
        there = place.out(state.phi)
        assert there.heads["weight"].sharding.spec == devices.COLUMNS
        back = place.home(there)
    for a, b in zip(jax.tree.leaves(state.phi), jax.tree.leaves(back), strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_cannot_be_spread_is_a_line():
    with pytest.raises(UncleError, match="data=2 and model=1 needs 2 devices, and there is 1"):
        devices.mesh(2)
    with pytest.raises(UncleError, match="needs 0 devices"):
        devices.mesh(0)
