"""Progress bars; where nobody watches they draw nothing, and a log is told now and then."""

import math
import threading

import pytest

from uncle_jax.requests import parse
from uncle_jax.runs import progress
from uncle_jax.runs.progress import Download, Progress, Steps


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when a test says so."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    return now


def test_requests_to_come_take_what_those_like_them_took(clock):
    with Progress(parse("L0 L1 U0 U1 L2")) as bar:
        assert bar.later() == 0  # nothing is known yet
        clock[0] += 10
        bar.next_request()
        assert bar.later() == 10 * 3  # U0, U1 and L2: as long as L0 until more is known
        clock[0] += 20
        bar.next_request()
        clock[0] += 3
        bar.next_request()
        assert bar.later() == 15  # L2, the mean of L0 and L1


def test_a_step_shows_the_request_its_loss_and_the_time_left(clock):
    with Progress(parse("L0 L1")) as bar:
        bar.bar.disable = False
        bar.bar.display = lambda *_, **__: None
        bar.begin(bar.place)
        assert bar.bar.postfix == "compiling"
        clock[0] += 30
        bar.on_step(1, 4, 0.1234)
        assert (bar.bar.n, bar.bar.total) == (1, 4)
        assert bar.bar.desc.startswith("[1/2] L0")
        assert bar.bar.postfix == "loss 0.123"  # what a step takes is not known yet
        clock[0] += 1
        bar.on_step(2, 4, 0.1)
        assert bar.bar.postfix == "loss 0.1, 2 s left"  # whatever came before the first
        clock[0] += 0.1
        bar.on_step(3, 4, 9.0)
        assert bar.bar.n == 2  # not drawn again within a fifth of a second
        bar.on_step(4, 4, 9.0)
        assert bar.bar.n == 4  # but the last step always is
        bar.bar.disable = True


def test_where_nobody_watches_losses_are_not_read():
    """Reading one would wait for the device at every step."""

    class Loss:
        def __float__(self):
            raise AssertionError("it was read")

    with Progress(parse("L0")) as bar:
        bar.on_step(1, 1, Loss())


def test_without_a_terminal_a_line_now_and_then_says_where_it_is(clock, capsys):
    bar = Steps("L3", every=1e-4)
    assert bar.line() == "L3: 0 s so far, compiling"
    clock[0] += 20
    bar.on_step(1, 8, 0.5)
    clock[0] += 3
    bar.on_step(2, 8, 0.5)
    assert bar.line() == "L3: step 2 of 8, loss 0.5, 18 s left"
    bar.on_step(4, 8, math.nan)
    assert bar.line() == "L3: step 4 of 8, 4 s left"  # what has no loss tells of none
    told = threading.Event()
    bar.line = lambda: told.set() or "a line"
    with bar:
        assert told.wait(60)
    bar.thread.join(60)
    assert not bar.thread.is_alive()
    out, err = capsys.readouterr()
    assert out == ""
    assert "a line\n" in err


def test_runs_and_trials_are_counted_from_the_beginning(clock):
    bar = Steps("two runs", unit="run")
    assert bar.line() == "two runs: 0 s so far"
    clock[0] += 6
    bar.on_step(1, 3, math.nan)
    assert bar.line() == "two runs: run 1 of 3, 12 s left"


def test_what_was_compiled_counts_for_no_request_to_come(clock):
    with Progress(parse("L0 L1")) as bar:
        clock[0] += 50
        bar.on_step(1, 2, 0.1)
        clock[0] += 2
        assert bar.later() == 0
        bar.next_request()
        assert bar.seconds["L"] == [2]


def test_what_begins_has_no_steps_yet(clock):
    bar = Steps("first")
    bar.on_step(2, 8, 0.5)
    clock[0] += 5
    bar.begin("second")
    clock[0] += 2
    assert bar.line() == "second: 2 s so far, compiling"


def test_each_download_has_a_bar_of_its_own(capsys):
    with Download() as bar:
        bar.on_bytes("one.gz", 10, 100)
        first = bar.bar
        bar.on_bytes("one.gz", 60, 100)
        assert bar.bar is first
        bar.on_bytes("two.gz", 5, 50)
        assert bar.bar is not first
        assert (bar.name, bar.bar.total) == ("two.gz", 50)
    assert capsys.readouterr() == ("", "")
    with Download():
        pass  # nothing was downloaded


def test_what_has_no_steps_compiles_nothing(clock):
    assert Steps("restore", compiles=False).line() == "restore: 0 s so far"
    bar = Progress(parse("L0"))
    assert bar.line() == "[1/1] L0: 0 s so far, compiling"
    bar.next_request()
    assert bar.line() == "measuring: 0 s so far"
