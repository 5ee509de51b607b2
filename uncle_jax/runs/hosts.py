"""One run on several hosts: process 0 leads, the others compute its requests with it.

The leader is a run as ever: data, store, evaluation and logs are its alone, so that nothing is
written twice. Before each request its method tells the others which it is and all that it starts
from; they call the same method on the same mesh, and what comes of it stays with the leader. They
need neither data nor settings: the first word has the method. What is told is pickled, as between
any processes of one program; a network on which strangers could join is not one to run this on.
"""

import atexit
import dataclasses
import io
import os
import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from uncle_jax.core import devices
from uncle_jax.core.loop import Inflight, OnStep
from uncle_jax.errors import UncleError
from uncle_jax.methods.protocol import Method

PATIENCE = 7 * 24 * 3600  # seconds that a host waits for the leader's next word
BLOCK = 2**18  # numbers: words are filled up to a multiple, so that few sizes are compiled


class Hosts(NamedTuple):
    """This process among those of a run; what is None the cluster's scheduler says (Slurm, MPI)."""

    coordinator: str | None = None  # HOST:PORT of process 0
    processes: int | None = None
    process: int | None = None


def join(hosts: Hosts) -> bool:
    """Meet the other processes, before anything is computed; whether this one leads.

    Raises UncleError if they do not meet.
    """
    # A run can be killed at any time, so that SIGTERM need not wait for all processes to agree.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(hosts.coordinator, hosts.processes, hosts.process)
    except (RuntimeError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise UncleError(f"the processes of this run did not meet ({why})") from None
    return jax.process_index() == 0


@contextmanager
def leading(axes: dict[str, int]) -> Iterator[Callable[[Method], Method]]:
    """On process 0: a function from a method to one that computes its requests on all processes.

    `axes`: of the mesh, over all devices. When it is left the others end, unless an error within a
    request left them in the middle of it.
    """
    leader = _Leader(_Line(), axes)
    try:
        devices.mesh(**axes)
        yield leader.led
    finally:
        if not leader.asking:
            leader.line.say(None)
        else:
            atexit.register(_leave)


def following() -> None:
    """On any other process: take part in the leader's requests until it has no more.

    Raises UncleError if the leader, or another process, is gone.
    """
    try:
        _follow(_Line())
    except jax.errors.JaxRuntimeError as error:
        atexit.register(_leave)
        raise _told_of(error) from None


def _follow(line: "_Line") -> None:
    method, axes = None, dict[str, int]()
    while (heard := line.hear()) is not None:
        if isinstance(heard, _Begin):
            method, axes = heard
            continue
        more = {"inflight": _Heard(line)} if heard.op == "learn" else {}
        # An UncleError comes before anything is computed together, and the leader tells of it.
        with suppress(UncleError), jax.set_mesh(devices.mesh(**axes)):
            getattr(method, heard.op)(heard.state, heard.task, *heard.given, **more)


def _told_of(error: Exception) -> Exception:
    """What to raise for an error of XLA's: most come from a process that is there no more."""
    if "RESOURCE_EXHAUSTED" in str(error):
        return error
    why = str(error).splitlines()[0][-120:]
    return UncleError(f"a process of this run is gone; start all again, and it goes on ({why})")


def _leave() -> None:
    """End this process without the others, which JAX would wait for."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


class _Begin(NamedTuple):
    method: Method
    axes: dict[str, int]


class _Ask(NamedTuple):
    op: str  # of Method
    state: Any
    task: int
    given: tuple[Any, ...]  # the arguments after it


class _Pickler(pickle.Pickler):
    """Knows typed PRNG keys, which older versions of JAX do not pickle."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, jax.Array) and jnp.issubdtype(obj.dtype, jax.dtypes.prng_key):
            return _key, (np.asarray(jax.random.key_data(obj)), str(jax.random.key_impl(obj)))
        return NotImplemented


def _key(data: np.ndarray, impl: str) -> jax.Array:
    return jax.random.wrap_key_data(jnp.asarray(data), impl=impl)


@dataclasses.dataclass
class _Line:
    """From process 0 to all others: what it says they hear, in the same order."""

    words: int = 0

    def say(self, word: Any) -> None:
        said = io.BytesIO()
        _Pickler(said).dump(word)
        self._broadcast(said.getvalue())

    def hear(self) -> Any:
        return pickle.loads(self._broadcast(b""))

    def _broadcast(self, said: bytes) -> bytes:
        # A collective gives up after some seconds, and the leader may evaluate for hours.
        self.words += 1
        wait = ocp.multihost.get_barrier_sync_fn()
        wait(key=f"uncle_jax_{self.words}", timeout_ms=1000 * PATIENCE)
        size = np.array(divmod(len(said), 2**32), np.uint32)
        high, low = map(int, multihost_utils.broadcast_one_to_all(size))
        n = high * 2**32 + low
        word = np.zeros(-(-n // (4 * BLOCK)) * BLOCK, np.uint32)
        word.view(np.uint8)[: len(said)] = np.frombuffer(said, np.uint8)
        return np.asarray(multihost_utils.broadcast_one_to_all(word)).tobytes()[:n]


@dataclasses.dataclass
class _Leader:
    line: _Line
    axes: dict[str, int]
    asking: bool = False  # whether the others are in the middle of a request

    def led(self, method: Method) -> Method:
        self.line.say(_Begin(method, self.axes))

        def learn(
            state: Any,
            task: int,
            data: Any,
            *,
            on_step: OnStep | None = None,
            inflight: Inflight | None = None,
        ) -> Any:
            more = {"on_step": on_step, "inflight": _Told(self.line, inflight)}
            return self._ask(method.learn, more, _Ask("learn", state, task, (data,)))

        def unlearn(state: Any, task: int, *past: Any, on_step: OnStep | None = None) -> Any:
            more = {"on_step": on_step}
            return self._ask(method.unlearn, more, _Ask("unlearn", state, task, past))

        def unlearn_classes(
            state: Any,
            task: int,
            classes: Sequence[int],
            *past: Any,
            on_step: OnStep | None = None,
        ) -> Any:
            assert method.unlearn_classes is not None
            asked = _Ask("unlearn_classes", state, task, (classes, *past))
            return self._ask(method.unlearn_classes, {"on_step": on_step}, asked)

        own = unlearn_classes if method.unlearn_classes else None
        return method._replace(learn=learn, unlearn=unlearn, unlearn_classes=own)

    def _ask(self, function: Callable[..., Any], more: dict[str, Any], what: _Ask) -> Any:
        self.line.say(what)
        self.asking = True
        try:
            with jax.set_mesh(devices.mesh(**self.axes)):
                state = function(what.state, what.task, *what.given, **more)
        except UncleError:
            self.asking = False  # as in `_follow`
            raise
        except jax.errors.JaxRuntimeError as error:
            raise _told_of(error) from None
        self.asking = False
        return state


@dataclasses.dataclass(frozen=True)
class _Told:
    """The leader's saves of a request: it alone reads and writes, and says where to go on."""

    line: _Line
    theirs: Inflight | None

    def resume(self, carry: Any) -> tuple[int, Any]:
        done, kept = self.theirs.resume(carry) if self.theirs else (0, carry)
        self.line.say((done, kept if done else None))
        return done, kept

    def after_epoch(self, done: int, carry: Any) -> None:
        if self.theirs:
            self.theirs.after_epoch(done, carry)


@dataclasses.dataclass(frozen=True)
class _Heard:
    """The others' part of it."""

    line: _Line

    def resume(self, carry: Any) -> tuple[int, Any]:
        done, kept = self.line.hear()
        return done, kept if done else carry

    def after_epoch(self, done: int, carry: Any) -> None:
        del done, carry
