"""Progress: of a download, of one piece of work's steps, and of a sequence of requests.

A bar where stderr is a terminal; elsewhere a line now and then, for who reads a log.
"""

import math
import sys
import threading
import time
from itertools import chain
from typing import Any, Self

from uncle_jax.requests import Request

EVERY = 30.0  # seconds between two lines where no bar is drawn


class Download:
    """A progress bar for each archive that is fetched."""

    def __init__(self) -> None:
        self.name, self.bar = "", None

    def __enter__(self) -> "Download":
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def on_bytes(self, name: str, done: int, total: int) -> None:
        from tqdm import tqdm

        if name != self.name or self.bar is None:
            self.__exit__()
            self.name = name
            self.bar = tqdm(
                desc=name, total=total, unit="B", unit_scale=True, leave=False, disable=None
            )
        self.bar.update(done - self.bar.n)


class Steps:
    """What is under way, its steps, its loss and the time left; its `on_step` is the library's.

    What passes before the first optimiser step, mostly compiling, says nothing of the others, so
    the time left is counted from there. `every`: seconds between two lines where stderr is no
    terminal. They are written by a thread of their own, so that what compiles is told of too.
    """

    def __init__(
        self, place: str = "", every: float = EVERY, unit: str = "step", compiles: bool = True
    ) -> None:
        from tqdm import tqdm

        self.unit = unit
        form = f"{{desc}} {{bar:24}} {{n_fmt}}/{{total_fmt}} {unit}s{{postfix}}"
        # disable=None: nothing is drawn where stderr is not a terminal
        self.bar = tqdm(bar_format=form, leave=False, disable=None, total=1)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._tell, args=(every,), daemon=True)
        self.begin(place, compiles)

    def __enter__(self) -> Self:
        if self.bar.disable:
            self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.bar.close()

    def begin(self, place: str, compiles: bool = True) -> None:
        """What is under way from here on, and whether it compiles before its first step."""
        self.place, self.known, self.first = place, None, None
        self.before = "compiling" if compiles and self.unit == "step" else ""
        self.begun = self.shown = time.perf_counter()
        if not self.bar.disable:
            self.bar.total, self.bar.n = 1, 0
            self.bar.set_postfix_str(self.before, refresh=False)
            self.bar.set_description_str(place)

    def on_step(self, step: int, steps: int, loss: Any) -> None:
        before, now = self.known, time.perf_counter()
        self.known = step, steps, loss
        again = before is not None and step < before[0]  # a class's request unlearns, then learns
        if self.first is None or again:  # of a request that goes on it may be a later one
            self.first = (step, now) if self.unit == "step" else (0, self.begun)
        if self.bar.disable or (now - self.shown < 0.2 and step < steps):
            return
        self.shown = now
        self.bar.total, self.bar.n = steps, step
        self.bar.set_postfix_str(", ".join(self._numbers(step, steps, loss)))

    def write(self, line: str, file: Any = None) -> None:
        """Print `line`, above the bar."""
        self.bar.clear()
        print(line, file=file, flush=True)

    def line(self) -> str:
        """What a log is told now."""
        if self.known is None:
            so_far = f"{time.perf_counter() - self.begun:.0f} s so far"
            return ", ".join(filter(None, [f"{self.place}: {so_far}", self.before]))
        step, steps, loss = self.known
        return ", ".join(
            [f"{self.place}: {self.unit} {step} of {steps}", *self._numbers(step, steps, loss)]
        )

    def taken(self) -> float:
        """Seconds of what is under way, without what came before its first step."""
        return time.perf_counter() - (self.begun if self.first is None else self.first[1])

    def later(self) -> float:
        """Seconds of what comes after what is under way."""
        return 0.0

    def _numbers(self, step: int, steps: int, loss: Any) -> list[str]:
        assert self.first is not None
        before, since = self.first
        loss = float(loss)
        told = [] if math.isnan(loss) else [f"loss {loss:.3g}"]
        if step > before:  # else no step's time is known yet
            left = (time.perf_counter() - since) * (steps - step) / (step - before) + self.later()
            told.append(f"{left:.0f} s left")
        return told

    def _tell(self, every: float) -> None:
        while not self.ended.wait(every):
            print(self.line(), file=sys.stderr, flush=True)


class Progress(Steps):
    """The request under way, and the whole run's time left."""

    def __init__(self, requests: tuple[Request, ...]) -> None:
        self.requests, self.index = requests, 0
        self.seconds: dict[str, list[float]] = {"L": [], "U": [], "C": []}
        super().__init__(self._named())

    def next_request(self) -> None:
        self.seconds[self.requests[self.index].op].append(self.taken())
        self.index += 1
        self.begin(self._named(), compiles=self.index < len(self.requests))

    def later(self) -> float:
        """Seconds for the requests after this one, by what those like them took."""
        all_ = [*chain(*self.seconds.values())] or [0.0]
        mean = {
            op: sum(s) / len(s) if s else sum(all_) / len(all_) for op, s in self.seconds.items()
        }
        return sum(mean[request.op] for request in self.requests[self.index + 1 :])

    def _named(self) -> str:
        if self.index == len(self.requests):
            return "measuring"
        return f"[{self.index + 1}/{len(self.requests)}] {self.requests[self.index]}"
