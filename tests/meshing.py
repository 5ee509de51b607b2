"""What processes of tests/core/test_devices.py do: on eight devices that a CPU pretends to be."""

import json
import re
import tempfile
from collections import Counter
from pathlib import Path

import jax
import numpy as np
from conftest import HYPER, SPEC, TINY, Small

from uncle_jax import restore, save
from uncle_jax.core import devices, holding, steps
from uncle_jax.core.holding import hold
from uncle_jax.core.inputs import task_input
from uncle_jax.methods.uncle import uncle
from uncle_jax.tasks import Data

MESHES = ((8, 1), (4, 2), (1, 8))
COLLECTIVES = r" (all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)\("
METHOD = uncle(SPEC, 3, TINY, Small(), HYPER)


def data(task: int) -> Data:
    rng = np.random.RandomState(task)
    images = rng.randint(0, 256, (40, 6, 6, 1)).astype(np.uint8)
    return Data(images, np.arange(40, dtype=np.int32) % 3)


class Kept:
    """Keeps the carry after an epoch, or goes on from one."""

    def __init__(self, kept=None):
        self.kept, self.saved = kept, None

    def resume(self, carry):
        if self.kept is None:
            return 0, carry
        assert jax.tree.map(np.shape, carry) == jax.tree.map(np.shape, self.kept[1])
        return self.kept

    def after_epoch(self, done, carry):
        self.saved = done, carry


def requests(state, told=None):
    """L1 U0 L2 after the L0 that `state` has answered: (state after, losses)."""
    losses = []

    def note(step, steps, loss):
        losses.append(float(loss))

    state = METHOD.learn(state, 1, data(1), on_step=note)
    state = METHOD.unlearn(state, 0, on_step=note)
    return METHOD.learn(state, 2, data(2), on_step=note), losses


def apart(a, b) -> float:
    """The largest relative distance of two lists of arrays."""
    pairs = zip(a, b, strict=True)
    return max(float(np.linalg.norm(x - y) / np.linalg.norm(y)) for x, y in pairs)


def arrays(state) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves((state.phi, state.norm_stats))]


def on(shape):
    return jax.set_mesh(devices.mesh(*shape))


def collectives(state) -> dict[str, dict[str, int]]:
    """How often each program of a learning step lets devices talk to each other, by kind."""
    place = devices.place(METHOD.generator)
    net, spread = place.net, place.out(state)
    carry = place.out(steps.start_learning(net, spread, spread.task_emb[2]))
    held, task = hold(net, spread), task_input(SPEC, 2, net.shape)
    at = carry.phi, carry.emb, carry.chunk_emb
    batch = devices.over_data(Data(*(array[:16] for array in data(2))))
    out, _, force = holding.forward(net, *at, held, np.float32(1))
    _, grad, _ = steps._fit(net, out, carry.stats, task, batch)
    grads = holding.backward(net, *at, held, grad, force)
    called = {
        "forward": (holding.forward, (net, *at, held, np.float32(1))),
        "fit": (steps._fit, (net, out, carry.stats, task, batch)),
        "backward": (holding.backward, (net, *at, held, grad, force)),
        "step": (
            steps._step_learning,
            (net, at, carry.optimiser, grads, np.float32(0), (0.0, 0.0), np.float32(1e-3)),
        ),
    }
    texts = {
        n: piece.jitted.lower(*args).compile().as_text() for n, (piece, args) in called.items()
    }
    return {name: Counter(re.findall(COLLECTIVES, text)) for name, text in texts.items()}


def main() -> None:
    """Everything of one mesh against one device."""
    first = METHOD.learn(METHOD.init(jax.random.key(0)), 0, data(0))
    kept_in = Path(tempfile.mkdtemp())
    save(kept_in, first)
    alone, losses = requests(first)
    logits = np.asarray(METHOD.logits(alone, 1, data(1).images))
    found = {}
    saved = None
    for shape in MESHES:
        with on(shape):
            after, of_mesh = requests(first)
            answers = np.asarray(METHOD.logits(after, 1, data(1).images))
            # A request that was killed on the mesh before goes on here.
            again = Kept(saved)
            gone_on = METHOD.learn(first, 1, data(1), inflight=again)
            kept = Kept()
            METHOD.learn(first, 1, data(1), inflight=kept)
            saved = kept.saved
            phi = devices.place(METHOD.generator).out(first).phi
            talks = collectives(first)
            opened, _ = requests(restore(kept_in, METHOD))
        on_one_device, _ = requests(restore(kept_in, METHOD))
        with on(shape):  # what it leaves is opened by the next
            save(kept_in, METHOD.learn(METHOD.init(jax.random.key(0)), 0, data(0)))
        outside = np.asarray(METHOD.logits(after, 1, data(1).images))
        whole = METHOD.learn(first, 1, data(1))
        found["x".join(map(str, shape))] = {
            "losses": apart([np.array(of_mesh)], [np.array(losses)]),
            "state": apart(arrays(after), arrays(alone)),
            "logits": max(apart([answers], [logits]), apart([outside], [logits])),
            "opened": apart(arrays(opened), arrays(on_one_device)),
            "gone on": apart(arrays(gone_on), arrays(whole)),
            "shards": str(phi.heads["weight"].sharding.shard_shape(phi.heads["weight"].shape)),
            "whole": all(leaf.is_fully_replicated for leaf in jax.tree.leaves(after)),
            "collectives": talks,
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
