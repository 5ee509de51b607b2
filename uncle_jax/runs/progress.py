"""Progress bars: of a download, and of a sequence of requests."""

import time
from typing import Any

from uncle_jax.requests import Request


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


class Progress:
    """A progress bar for the request under way, with its loss and the whole run's time left."""

    def __init__(self, requests: tuple[Request, ...]) -> None:
        from tqdm import tqdm

        self.requests, self.index = requests, 0
        self.seconds: dict[str, list[float]] = {"L": [], "U": []}
        self.begun = self.shown = time.perf_counter()
        form = "{desc} {bar:24} {n_fmt}/{total_fmt} steps{postfix}"
        # disable=None: nothing is drawn where stderr is not a terminal
        self.bar = tqdm(bar_format=form, leave=False, disable=None, total=1)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()

    def write(self, line: str) -> None:
        self.bar.clear()
        print(line, flush=True)

    def on_step(self, step: int, steps: int, loss: Any) -> None:
        now = time.perf_counter()
        if self.bar.disable or (now - self.shown < 0.2 and step < steps):
            return
        self.shown = now
        self.bar.total, self.bar.n = steps, step
        left = (now - self.begun) * (steps - step) / step + self._later()
        place = f"[{self.index + 1}/{len(self.requests)}] {self.requests[self.index]}"
        self.bar.set_description_str(place, refresh=False)
        self.bar.set_postfix_str(f"loss {float(loss):.3g}, {left:.0f} s left")

    def next_request(self) -> None:
        now = time.perf_counter()
        self.seconds[self.requests[self.index].op].append(now - self.begun)
        self.index, self.begun = self.index + 1, now

    def _later(self) -> float:
        """Seconds for the requests after this one, by what those like them took."""
        all_ = self.seconds["L"] + self.seconds["U"] or [0.0]
        mean = {
            op: sum(s) / len(s) if s else sum(all_) / len(all_) for op, s in self.seconds.items()
        }
        return sum(mean[request.op] for request in self.requests[self.index + 1 :])
