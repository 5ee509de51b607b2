"""A continual learner with a hypernetwork: Equation 2 of the paper, which is HyperCL's
(von Oswald et al. 2020, without lookahead). What unlearns on it is in uncle.py and *_hnet.py."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from uncle_jax.config import Config, Hypernetwork, part
from uncle_jax.core import backbones, devices, heads, status, steps
from uncle_jax.core import refit as fits
from uncle_jax.core.holding import Held, hold
from uncle_jax.core.hypernet import Phi
from uncle_jax.core.inputs import (
    TaskInput,
    fit_images,
    input_shape,
    logits_of,
    resident,
    rows_at,
    task_input,
)
from uncle_jax.core.layout import Kind
from uncle_jax.core.loop import Batch, Inflight, OnStep, Progress, run_epochs
from uncle_jax.core.network import Network, network
from uncle_jax.core.scanned import Step
from uncle_jax.core.state import CLState, row_of, snapshot, with_arrays, with_row
from uncle_jax.core.status import (
    checked,
    checked_classes,
    describe,
    in_range,
    learned,
    unlearned,
)
from uncle_jax.methods.protocol import MainNetwork, Method, Past, TaskNetwork, remembering
from uncle_jax.tasks import Data, InputSpec, as_data


class Learner(NamedTuple):
    """A hypernetwork learner and its pieces, for methods that unlearn on it."""

    method: Method  # `hnet`: unlearning only drops the task from L_reg
    network: Network


def hypernetwork(
    spec: InputSpec,
    n_tasks: int,
    config: Config | None = None,
    main_net: nn.Module | None = None,
    settings: Hypernetwork = Hypernetwork(),
) -> Learner:
    """A learner for up to `n_tasks` tasks of images like `spec`; `settings` may be a subclass's.

    `main_net`: any Linen module called as module(x, train=...) with spec.n_classes outputs; by
    default the one that `config.backbone` names. Weights are generated, so it needs none.
    """
    config = config or Config()
    shape = input_shape(spec, config.image_size)
    main_net = backbones.main_network(main_net, config, shape, spec.n_classes)
    net = network(main_net, shape, config, part(Hypernetwork, settings))

    def learn(
        state: CLState,
        task: int,
        data: Data,
        *,
        on_step: OnStep | None = None,
        inflight: Inflight | None = None,
    ) -> CLState:
        task = checked(state, task, learned=False)
        images, labels = as_data(data, spec, f"task {task}", task)
        fitted = Data(fit_images(images, shape), jnp.asarray(labels))
        inputs = task_input(spec, task, shape)
        return _learn(net, state, task, inputs, fitted, Progress(on_step, inflight))

    method = Method(
        "hnet",
        partial(steps.init, net, n_tasks),
        learn,
        _unlearn,
        partial(_logits, net, spec),
        settings=settings,
        iterations=lambda n: 0,
        network=partial(_task_network, net),
        main=MainNetwork(main_net, shape),
        generator=net,
        partial=partial_states,
        unlearn_classes=partial(_unlearn_classes, net, spec),
    )
    return Learner(method, net)


@remembering
def hnet(
    spec: InputSpec,
    n_tasks: int,
    config: Config | None = None,
    main_net: nn.Module | None = None,
    settings: Hypernetwork = Hypernetwork(),
) -> Method:
    """The learner alone: an unlearned task is no longer held in place, and that is all."""
    return hypernetwork(spec, n_tasks, config, main_net, settings).method


def partial_states(present: CLState, arrays: Mapping[str, Any], task: int) -> list[CLState]:
    """States that `arrays`, a state's or an in-request save's (`Learning`), could be used in.

    What they lack is the `present` state's, so that an old phi is measured under any embedding and
    statistics that are still there; those of a save are put in the task's place.
    """
    mixed = with_arrays(present, arrays)
    saved = {
        path.replace(".emb", ".task_emb").replace(".stats", ".norm_stats"): array
        for path, array in arrays.items()
        if path == ".emb" or path.startswith(".stats[")
    }
    in_place = {
        jax.tree_util.keystr(path): jnp.asarray(leaf).at[task].set(saved[name])
        for path, leaf in jax.tree_util.tree_leaves_with_path(mixed)
        if (name := jax.tree_util.keystr(path)) in saved
    }
    phi = {path: array for path, array in arrays.items() if path.startswith(".phi.")}
    return [mixed, with_arrays(mixed, in_place), with_arrays(present, phi)]


def _unlearn(state: CLState, task: int, /, *, on_step: OnStep | None = None) -> CLState:
    del on_step  # nothing is optimised
    task = checked(state, task, learned=True)
    return snapshot(unlearned(state, task, jax.random.split(state.key, 3)[0]))


def without_classes(
    net: Network, spec: InputSpec, state: CLState, task: int, classes: Sequence[int]
) -> tuple[list[int], dict[Kind, Array]]:
    """(retained tasks, {kind: [N, W, C]} their networks), that of `task` without `classes`.

    Raises UncleError for classes that cannot be unlearned.
    """
    n = spec.task(checked(state, task, learned=True)).n_classes
    parts = heads.columns(spec.n_classes, 0, n, checked_classes(classes, n))
    kept = describe(state)["learned"]
    out = fits.networks(net, state.phi, state.task_emb[jnp.asarray(kept)], state.chunk_emb)
    return kept, fits.without_classes(net, out, np.int32(kept.index(task)), *parts)


def _unlearn_classes(
    net: Network,
    spec: InputSpec,
    state: CLState,
    task: int,
    classes: Sequence[int],
    past: Past | None = None,
    /,
    *,
    on_step: OnStep | None = None,
) -> CLState:
    """phi with the heads nearest to its own that generate the retained networks, one without them.

    Nothing is read and no step taken: the heads are solved for (core/refit.py).
    """
    del past, on_step
    kept, out = without_classes(net, spec, state, task, classes)
    emb = state.task_emb[jnp.asarray(kept)]
    phi = fits.holding(net, state.phi, emb, state.chunk_emb, out)
    key = jax.random.split(state.key, 3)[0]
    return snapshot(status.without_classes(state, key, phi=phi))


def _task_network(net: Network, state: CLState, task: int) -> TaskNetwork:
    """theta, generated for `task`, and the task's norm statistics. Raises UncleError."""
    task = in_range(state, task)
    emb, stats = row_of((state.task_emb, state.norm_stats), task)
    return TaskNetwork(steps.theta(net, state.phi, emb, state.chunk_emb), stats)


def _logits(net: Network, spec: InputSpec, state: CLState, task: int, images: Any) -> Array:
    """Logits [B, Y] of `task`'s generated network for images [B, H, W, D].

    Those of classes that the task does not have are minus infinity.
    """
    theta, stats = _task_network(net, state, task)
    inputs, size = task_input(spec, task, net.shape), net.config.eval_batch_size
    answer = partial(steps.logits, net, theta, stats, inputs)
    return logits_of(answer, images, spec, net.shape, size, not net.config.batch_independent)


def settled(
    net: Network, state: CLState, phi: Phi, chunk_emb: Array, emb: Array | None = None
) -> Phi:
    """`phi` as a request leaves it, by `hold` and `dead`; `state` is the one before it.

    `emb` [E]: of a task that was just learned, whose network stays what it is at `phi`. Solved
    heads are the nearest to phi's own under which what `state` retains is what it was: drift that
    L_reg leaves would add up, request by request (core/refit.py has where this is exact).
    """
    solved, redraw = net.hyper.hold == "solved", net.hyper.dead == "redraw"
    if not (solved or redraw):
        return phi
    held = state.task_emb[jnp.asarray(describe(state)["learned"], int)]
    every = held if emb is None else jnp.concatenate([held, emb[None]])
    if solved and len(held):
        out = fits.networks(net, state.phi, held, chunk_emb)
        if emb is not None:
            its = fits.networks(net, phi, emb[None], chunk_emb)
            out = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), out, its)
        phi = fits.holding(net, phi, every, chunk_emb, out)
    if redraw and len(every):
        phi = steps.revived(jax.random.fold_in(state.key, 3), phi, fits.filled(every), chunk_emb)
    return phi


class Given(NamedTuple):
    """What the steps of a learn request share."""

    task: steps.TaskToLearn
    held: Held
    data: Data  # fitted; on a CPU the host's


def _step(net: Network, carry: Any, given: Given, x: Batch) -> tuple[Any, Array]:
    batch = devices.over_data(rows_at(given.data, x.images))
    carry, losses = steps.learn(net, carry, given.task, given.held, batch, x.lr)
    return carry, losses.total


def _learn(
    net: Network,
    state: CLState,
    task: int,
    inputs: TaskInput,
    data: Data,
    progress: Progress,
) -> CLState:
    """`state` with `task` learned from images on the device, fitted to the network's input."""
    config = net.config
    key, k_emb, k_order = jax.random.split(state.key, 3)
    emb = jax.random.normal(k_emb, (net.hyper.embedding,))  # Algorithm 1, line 1
    place = devices.place(net)
    wide, spread = place.net, place.out(state)
    carry = place.out(steps.start_learning(wide, spread, emb))
    train_chunks = jnp.asarray(state.n_requests == 0, jnp.float32)
    asked, held = steps.TaskToLearn(inputs, train_chunks), hold(wide, spread)
    given, n = Given(asked, held, resident(data)), len(data.labels)
    progress = progress._replace(inflight=place.inflight(progress.inflight))
    carry = run_epochs(config, k_order, n, carry, Step(_step, wide, given), progress)
    # theta moved faster than its running statistics: let them settle on the final theta.
    own = carry.stats
    if wide.hyper.norm_calibration and config.batch_independent and jax.tree.leaves(own):
        theta = steps.theta(wide, carry.phi, carry.emb, carry.chunk_emb)
        order = jax.random.permutation(jax.random.fold_in(k_order, config.epochs), n)
        order = np.resize(np.asarray(order), (wide.hyper.norm_calibration, config.batch_size))
        for batch in order:
            images = devices.over_data(rows_at(given.data.images, batch))
            own = steps.calibrate(wide, theta, own, inputs, images)

    phi, emb, chunk_emb, own = place.home((carry.phi, carry.emb, carry.chunk_emb, own))
    phi = settled(net, state, phi, chunk_emb, emb)
    rows = with_row((state.task_emb, state.norm_stats), task, (emb, own))
    after = learned(
        state,
        task,
        key,
        phi=phi,
        task_emb=rows[0],
        chunk_emb=chunk_emb,
        norm_stats=rows[1],
    )
    return snapshot(after)
