"""The method that a store's settings name."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax

from uncle_jax import own
from uncle_jax.config import Config, Hypernetwork, completed, restored
from uncle_jax.core import backbones, resnet
from uncle_jax.core.inputs import input_shape
from uncle_jax.errors import UncleError, allowed
from uncle_jax.methods import protocol, registry
from uncle_jax.methods.protocol import Method
from uncle_jax.store.checkpoint import compare
from uncle_jax.store.store import Store, input_spec
from uncle_jax.tasks import InputSpec


def identity(
    method: str,
    spec: InputSpec,
    n_tasks: int,
    config: Config,
    settings: Any = None,
    main_net: nn.Module | None = None,
) -> dict[str, Any]:
    """What a stored state must share with the method that uses it (JSON)."""
    net = main_net or backbones.from_config(config, spec.n_classes)
    chunks = settings.chunks if isinstance(settings, Hypernetwork) else 1
    layout, _ = resnet.plan(net, input_shape(spec, config.image_size), chunks)
    told = protocol.identity(method, spec, n_tasks, config, settings)
    if main_net is None and (code := backbones.source(config)) is not None:
        told |= {"network": {"sha256": code["sha256"]}}
    return {"method": method, "layout": layout.hash} | told  # in the order that `compare` tells


def template(method: Method) -> Any:
    """The shape of a method's state, computing none: what `Store.load` restores into."""
    return jax.eval_shape(method.init, jax.random.key(0))


def learner(store: Store, backbone: str | None = None) -> Method:
    """The method that a store's settings name; only methods of this package's.

    A store can come from elsewhere and runs no code of its own: one with a main network from a file
    needs it named again by `backbone`, with the same content. Raises UncleError.
    """
    name = store.identity["method"]
    if name not in registry.METHODS:
        raise allowed("method", name, registry.METHODS)
    usual = registry.settings_of(name, registry.find(name), {})
    told = modern(store.identity, usual)
    try:
        config = restored(Config, told["config"])
        settings = None if usual is None else restored(type(usual), told["settings"])
    except UncleError as error:
        raise UncleError(
            f"{store.folder} has settings this version does not know ({error})"
        ) from None
    spec, n_tasks = input_spec(store), store.identity["n_tasks"]
    config, theirs = _with_code(store, config, backbone), config.backbone
    ours = identity(name, spec, n_tasks, config, settings)
    ours["config"]["backbone"] = theirs  # the same content may lie elsewhere now
    compare(told, ours, f"{store.folder}")
    return registry.build(name, spec, n_tasks, config, settings)


def _with_code(store: Store, config: Config, backbone: str | None) -> Config:
    if not own.named(config.backbone):
        if backbone not in (None, config.backbone):
            raise UncleError(f"{store.folder} was made with backbone {config.backbone}")
        return config
    if backbone is None:
        raise UncleError(
            f"{store.folder} was made with --main-net {config.backbone}, and a store runs no code "
            "by itself: give --main-net again"
        )
    return dataclasses.replace(config, backbone=backbone)


def modern(theirs: Mapping[str, Any], usual: Any) -> dict[str, Any]:
    """A store's identity; of one by an earlier version, as it would be today.

    That lacks the newest settings, or its Config held UnCLe's. `usual`: the method's defaults.
    """
    shared = {field.name for field in dataclasses.fields(Config)}
    config = completed({k: v for k, v in theirs["config"].items() if k in shared}, Config)
    if set(theirs["config"]) <= shared:
        if usual is None:
            return {**theirs, "config": config}
        settings = completed(theirs["settings"], type(usual))
        return {**theirs, "config": config, "settings": settings}
    own = {field.name for field in dataclasses.fields(usual)} if usual is not None else set()
    moved = {k: v for k, v in theirs["config"].items() if k in own - shared}
    settings = moved | theirs.get("settings", {})
    if usual is not None:
        settings = completed(settings, type(usual))
    return {**theirs, "config": config, "settings": settings}
