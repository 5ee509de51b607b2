# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own data and your own network
#
# Arrays of your own, a network of your own, and a state that is saved between requests, so that
# each can be answered by a process of its own.
#
# As a notebook: `jupytext --to ipynb docs/notebooks/own_data.py`.

# %%
import tempfile
from pathlib import Path

import flax.linen as nn
import jax
import matplotlib.pyplot as plt
import numpy as np

import uncle_jax

# %% [markdown]
# ## Data
#
# A task is two pairs of arrays: images `[N, H, W, D]`, `uint8` or floats in 0..1, and labels
# `[N]` from 0. Here each class of a task is a patch of noise, and its images are that patch with
# more noise.

# %%
rng = np.random.default_rng(0)


def images_of(patches, n):
    labels = rng.integers(0, len(patches), n)
    images = patches[labels] + rng.normal(0, 30, (n, *patches.shape[1:]))
    return np.clip(images, 0, 255).astype(np.uint8), labels


tasks = []
for _ in range(3):
    patches = rng.uniform(0, 255, (4, 8, 8, 1))  # four classes
    tasks.append({"train": images_of(patches, 256), "test": images_of(patches, 128)})
benchmark = uncle_jax.Benchmark.from_arrays(tasks)

# %%
figure, axes = plt.subplots(1, 4, figsize=(6, 1.8))
for image, label, axis in zip(*tasks[0]["train"], axes, strict=False):
    axis.imshow(image[..., 0], cmap="gray")
    axis.set_title(f"class {label}")
    axis.axis("off")
plt.show()

# %% [markdown]
# ## Network
#
# Any Linen module that is called as `net(x, train=...)` and has as many outputs as the benchmark
# has classes. Its weights are generated, so it is never initialised by itself.


# %%
class Net(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = nn.Dense(16)(x.reshape(len(x), -1))
        x = nn.relu(nn.BatchNorm(use_running_average=not train)(x))
        return nn.Dense(4)(x)


config = uncle_jax.Config(image_size=None, batch_size=32, epochs=5)
settings = uncle_jax.Uncle(trunk=(16, 32), embedding=8, chunks=8, gamma=0.1)
method = uncle_jax.uncle(benchmark.spec, 3, config, main_net=Net(), settings=settings)

# %% [markdown]
# ## Requests, and a state on disk
#
# `save` keeps a state in a folder, by Orbax; the one that was there goes once the new one is
# whole. `restore` checks every byte, and refuses a state of another method or of other settings.
# A process of its own would run this function and end. (`uncle request` does so, with a ledger,
# certificates and recovery after a crash.)

# %%
folder = Path(tempfile.mkdtemp()) / "state"
uncle_jax.save(folder, method.init(jax.random.key(0)))


def answer(request):
    state = uncle_jax.restore(folder, method)
    if request.op == "L":
        state = method.learn(state, request.task, benchmark.load(request.task, "train"))
    else:
        state = method.unlearn(state, request.task)
    uncle_jax.save(folder, state)
    return [uncle_jax.evaluate(method, state, t, benchmark.load(t, "test")) for t in range(3)]


requests = uncle_jax.parse("L0 L1 U0 L2")
accuracies = np.array([answer(request) for request in requests])

# %% [markdown]
# Four classes, so chance is 25 %, which is where a task is before it is learned and after it is
# unlearned.

# %%
figure, axis = plt.subplots(figsize=(6, 3))
axis.plot(accuracies, "o-", label=[f"task {task}" for task in range(3)])
axis.axhline(25, color="grey", linestyle=":", label="chance")
axis.set_xticks(range(4), [f"{request.op}{request.task}" for request in requests])
axis.set_ylabel("test accuracy (%)")
axis.legend()
plt.show()
print(uncle_jax.describe(uncle_jax.restore(folder, method)))
