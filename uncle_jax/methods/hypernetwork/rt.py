"""RT-Hnet (Appendix F): a new hypernetwork learns every retained task again, one after another."""

import dataclasses

import flax.linen as nn
import jax

from uncle_jax.config import Config, Hypernetwork
from uncle_jax.core.loop import OnStep, part_of, steps_per_epoch
from uncle_jax.core.state import CLState, snapshot
from uncle_jax.core.status import UNLEARNED, checked, describe
from uncle_jax.errors import UncleError
from uncle_jax.methods.hypernetwork.learner import hypernetwork
from uncle_jax.methods.protocol import Method, Past, remembering
from uncle_jax.tasks import InputSpec


@remembering
def rt_hnet(
    spec: InputSpec,
    n_tasks: int,
    config: Config | None = None,
    main_net: nn.Module | None = None,
    settings: Hypernetwork = Hypernetwork(),
) -> Method:
    """Retraining with a hypernetwork: reads all retained tasks' data, keeps nothing of before."""
    config = config or Config()
    learner = hypernetwork(spec, n_tasks, config, main_net, settings)

    def unlearn(
        state: CLState, task: int, past: Past | None = None, /, *, on_step: OnStep | None = None
    ) -> CLState:
        task = checked(state, task, learned=True)
        retained = set(describe(state)["learned"]) - {task}
        tasks = dict(past.retained) if past else {}
        if set(tasks) != retained:
            raise UncleError(f"rt-hnet reads all retained tasks' data to unlearn task {task}")
        key, k_init = jax.random.split(state.key)
        counts = [steps_per_epoch(len(data.labels), config.batch_size) for data in tasks.values()]
        total, done, after = config.epochs * sum(counts), 0, learner.method.init(k_init)
        for (t, data), count in zip(tasks.items(), counts, strict=True):
            tell = part_of(on_step, done, total)
            after = learner.method.learn(after, t, data, on_step=tell)
            done += config.epochs * count
        status = state.status.at[task].set(UNLEARNED)  # also of those unlearned before
        return snapshot(
            dataclasses.replace(
                after,
                made_by=state.made_by,
                status=status,
                key=key,
                n_requests=state.n_requests + 1,
                n_unlearned=state.n_unlearned + 1,
            )
        )

    return learner.method._replace(
        name="rt-hnet",
        unlearn=unlearn,
        unlearn_classes=None,
        reads="all retained data",
        iterations=None,
    )
