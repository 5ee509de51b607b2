"""The hypernetwork's control: the learner that never learned what the stream forgets."""

import flax.linen as nn

from uncle_jax.config import Config, Hypernetwork
from uncle_jax.methods.hypernetwork.learner import hypernetwork
from uncle_jax.methods.protocol import Method, remembering
from uncle_jax.requests import forgotten
from uncle_jax.tasks import InputSpec


@remembering
def never(
    spec: InputSpec,
    n_tasks: int,
    config: Config | None = None,
    main_net: nn.Module | None = None,
    settings: Hypernetwork = Hypernetwork(),
) -> Method:
    """UnCLe's learner in a stream without the requests of the tasks that it ends without.

    What forgetting aims at: whatever its networks of those tasks can do, they owe to the others.
    """
    learner = hypernetwork(spec, n_tasks, config, main_net, settings)
    return learner.method._replace(name="never", passes=forgotten)
