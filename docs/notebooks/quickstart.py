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
# # Quick start
#
# Learn three tasks, unlearn one of them, learn it again, and look at what that did to the others.
# The tasks are scikit-learn's handwritten digits, each with its own permutation of the pixels, so
# there is nothing to download. On two CPU cores it takes a minute or so.
#
# As a notebook: `jupytext --to ipynb docs/notebooks/quickstart.py`.

# %%
import jax
import matplotlib.pyplot as plt

import uncle_jax

benchmark = uncle_jax.permuted_digits(seed=0)
laptop = uncle_jax.preset("permuted-digits", "laptop")
method = uncle_jax.uncle(benchmark.spec, 10, laptop.config, settings=laptop.uncle)

# %% [markdown]
# The first image of each task. A network sees 8 x 8 pixels of one grey channel.

# %%
figure, axes = plt.subplots(1, 3, figsize=(6, 2.3))
for task, axis in enumerate(axes):
    images, labels = benchmark.load(task, "train")
    axis.imshow(images[0, ..., 0], cmap="gray")
    axis.set_title(f"task {task}: a {labels[0]}")
    axis.axis("off")
plt.show()

# %% [markdown]
# ## Requests
#
# `L0` learns task 0, `U0` unlearns it. Every task seen so far is evaluated after each request.
# Learning reads the task's training data, and nothing of the others; unlearning reads nothing.

# %%
run = uncle_jax.run_sequence(
    method,
    benchmark,
    uncle_jax.parse("L0 L1 L2 U1 L1"),
    jax.random.key(0),
    on_request=lambda answer, state: print(*answer.request, answer.accuracy),
)

# %% [markdown]
# ## The picture

# %%
figure, axis = plt.subplots(figsize=(6, 3))
names = ["".join(map(str, answer.request)) for answer in run.answers]
for task in range(3):
    seen = [index for index, answer in enumerate(run.answers) if task in answer.accuracy]
    accuracies = [run.answers[index].accuracy[task] for index in seen]
    axis.plot(seen, accuracies, "o-", label=f"task {task}")
axis.axhline(10, color="grey", linestyle=":", label="chance")
axis.set_xticks(range(len(names)), names)
axis.set_ylabel("test accuracy (%)")
axis.legend()
plt.show()

# %% [markdown]
# ## The numbers
#
# `RA` is the accuracy of the tasks that are still learned, `spill` how much unlearning task 1
# changed the others. `FA` and `relapse` are those of tasks that are unlearned at the end, of
# which there is none here.

# %%
print(run.metrics)
print(uncle_jax.describe(run.state))

# %% [markdown]
# ## One request more
#
# `run.state` is a frozen value. Unlearning makes a new one, and the old one can still be used.

# %%
without = method.unlearn(run.state, 2)
test = benchmark.load(2, "test")
print("before", uncle_jax.evaluate(method, run.state, 2, test))
print("after ", uncle_jax.evaluate(method, without, 2, test))
