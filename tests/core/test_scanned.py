"""Steps one by one and many in one program: the same."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import HYPER, SPEC, TINY, Small, assert_trees_close

from uncle_jax.core import scanned
from uncle_jax.core.pieces import rehearsal
from uncle_jax.core.scanned import Step, even, powers, take
from uncle_jax.methods import registry
from uncle_jax.tasks import Data


@pytest.fixture
def as_on_an_accelerator(monkeypatch):
    monkeypatch.setattr(scanned, "in_one_program", lambda: True)


def test_sizes_hold_every_step():
    for n in (1, 2, 9, 64, 65, 81, 100, 131):
        for sizes in (even(n, 64), powers(n, 64)):
            assert sum(sizes) == n
            assert max(sizes) <= 64
        assert len(set(even(n, 64))) <= 2
    assert even(10) == [10]
    assert even(100, 64) == [50, 50]
    assert powers(100) == [64, 32, 4]
    assert powers(81) == [64, 16, 1]


def add(static, carry, given, x):
    return carry * static + given + x["by"], carry


def test_a_scan_takes_the_steps_that_python_takes(monkeypatch):
    xs = [{"by": np.float32(i)} for i in range(7)]
    found = []
    for scan in (False, True):
        monkeypatch.setattr(scanned, "in_one_program", lambda scan=scan: scan)
        told = []
        end = take(
            Step(add, 2, jnp.ones(3)),
            jnp.zeros(3),
            xs,
            powers(7),
            lambda step, steps, loss, told=told: told.append((step, steps, float(loss.max()))),
        )
        found.append((end.tolist(), told))
    assert found[0] == found[1]
    assert [told[:2] for told in found[1][1]] == [(step, 7) for step in range(1, 8)]


def test_a_scan_is_compiled_once_for_each_size(as_on_an_accelerator):
    seen = []

    def counted(static, carry, given, x):
        seen.append(x)
        return carry + x, carry

    step = Step(counted, None, None)
    for n in (6, 7, 5):
        take(step, jnp.zeros(()), [np.float32(1)] * n, powers(n, 4))
    assert len(seen) == 3  # 4, 2 and 1


def test_a_cpu_and_a_rehearsal_go_step_by_step(monkeypatch):
    assert not scanned.in_one_program()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert scanned.in_one_program()
    with rehearsal():
        assert not scanned.in_one_program()


@pytest.mark.parametrize("name", ["uncle", "clpu", "derpp", "lwsf"])
def test_methods_end_alike_scanned(name, monkeypatch):
    """Learning with and without earlier tasks, and unlearning: predictions and losses."""
    rng = np.random.RandomState(0)
    settings = registry.settings_of(name, registry.find(name), {}, HYPER)
    outputs = 9 if name in ("derpp", "lwsf") else 3  # a head for each of three tasks
    method = registry.build(name, SPEC, 3, TINY, settings, Small(outputs))
    tasks = [
        Data(rng.randint(0, 256, (20, 6, 6, 1)).astype(np.uint8), (np.arange(20) % 3))
        for _ in range(2)
    ]
    found = []
    for scan in (False, True):
        monkeypatch.setattr(scanned, "in_one_program", lambda scan=scan: scan)
        told = []

        def tell(step, steps, loss, told=told):
            told.append((step, steps, float(loss)))

        state = method.init(jax.random.key(0))
        for task, data in enumerate(tasks):
            state = method.learn(state, task, data, on_step=tell)
        if name == "uncle":
            state = method.unlearn(state, 0, on_step=tell)
        logits = [method.logits(state, task, tasks[task].images) for task in range(2)]
        found.append((logits, np.array(told)))
    (logits, told), (of_scan, told_of_scan) = found
    np.testing.assert_array_equal(told[:, :2], told_of_scan[:, :2])
    np.testing.assert_allclose(told[:, 2], told_of_scan[:, 2], rtol=2e-3)
    assert_trees_close(of_scan, logits, 5e-3)
