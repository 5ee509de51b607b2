"""A method of one's own, in one file: each task's nearest class mean, in pixels.

python experiments/run.py --method experiments/own_method.py:nearest_mean
python experiments/table.py runs/*
"""

import flax.struct
import jax
import jax.numpy as jnp

from uncle_jax.core.inputs import fit_images
from uncle_jax.core.status import LEARNED, NEW, UNLEARNED, checked, in_range
from uncle_jax.methods.protocol import Method
from uncle_jax.tasks import as_data


@flax.struct.dataclass
class Means:
    means: jax.Array  # [T, Y, H * W * D] of images in 0..255
    status: jax.Array  # [T] the one field that every state has


def nearest_mean(spec, n_tasks, config=None, main_net=None):
    """Learning stores a task's class means; unlearning deletes them, so it reads no data."""

    def flat(images):
        return fit_images(images, spec.image_shape).reshape(len(images), -1).astype(jnp.float32)

    def init(key):
        size = spec.image_shape[0] * spec.image_shape[1] * spec.image_shape[2]
        return Means(jnp.zeros((n_tasks, spec.n_classes, size)), jnp.full(n_tasks, NEW))

    def learn(state, task, data, *, on_step=None, inflight=None):
        images, labels = as_data(data, spec, f"task {checked(state, task, learned=False)}", task)
        member = jax.nn.one_hot(labels, spec.n_classes)  # [N, Y]
        means = member.T @ flat(images) / jnp.maximum(member.sum(0), 1)[:, None]
        return Means(state.means.at[task].set(means), state.status.at[task].set(LEARNED))

    def unlearn(state, task, *, on_step=None):
        task = checked(state, task, learned=True)
        return Means(state.means.at[task].set(0), state.status.at[task].set(UNLEARNED))

    def logits(state, task, images):
        means = state.means[in_range(state, task)]
        return -jnp.sum((flat(images)[:, None] - means) ** 2, axis=-1)

    return Method("nearest-mean", init, learn, unlearn, logits, reads="none")
