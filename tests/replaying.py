"""What the tests of methods on DER++ share: small networks, and states that skip learning."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from conftest import blobs

from uncle_jax.core.status import LEARNED
from uncle_jax.methods.multihead import buffer as buffers
from uncle_jax.methods.multihead.gkt import Gkt

# One setting for all tests of GKT: what is compiled for one serves the others.
GKT = Gkt(
    buffer_per_task=20,
    generator_iters=1,
    student_iters=2,
    student_steps=3,
    batch=8,
    latent=4,
    student_lr=0.01,
    generator_lr=0.01,
)


class Wide(nn.Module):
    """A main network with norm statistics whose only layer as wide as its heads is the last."""

    n_outputs: int = 12

    @nn.compact
    def __call__(self, x, train):
        x = nn.Dense(10)(x.reshape(len(x), -1))
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        return nn.Dense(self.n_outputs)(nn.relu(x))


class Tiny(nn.Module):
    """Two heads of three classes."""

    @nn.compact
    def __call__(self, x, train):
        x = nn.Dense(5)(x.reshape(len(x), -1))
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        return nn.Dense(6)(nn.tanh(x))


def softmax(z):
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def in_buffer(method, tasks=(0, 2), size=32):
    """A state with `tasks` in its buffer, without the time that learning compiles."""
    state = method.init(jax.random.key(0))
    buffer, status = state.buffer, state.status
    for task in tasks:
        data = blobs(2 * task, size)
        buffer = buffers.store(buffer, task, *data, jnp.zeros((size, 3)), size)
        status = status.at[task].set(LEARNED)
    return dataclasses.replace(state, status=status, buffer=buffer)
