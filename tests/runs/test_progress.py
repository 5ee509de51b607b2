"""Progress bars; where nobody watches they draw nothing."""

import pytest

from uncle_jax.requests import parse
from uncle_jax.runs import progress
from uncle_jax.runs.progress import Download, Progress


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass when a test says so."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "perf_counter", lambda: now[0])
    return now


def test_requests_to_come_take_what_those_like_them_took(clock):
    with Progress(parse("L0 L1 U0 U1 L2")) as bar:
        assert bar._later() == 0  # nothing is known yet
        clock[0] += 10
        bar.next_request()
        assert bar._later() == 10 * 3  # U0, U1 and L2: as long as L0 until more is known
        clock[0] += 20
        bar.next_request()
        clock[0] += 3
        bar.next_request()
        assert bar._later() == 15  # L2, the mean of L0 and L1


def test_a_step_shows_the_request_its_loss_and_the_time_left(clock):
    with Progress(parse("L0 L1")) as bar:
        bar.bar.disable = False
        bar.bar.display = lambda *_, **__: None
        clock[0] += 1
        bar.on_step(1, 4, 0.1234)
        assert (bar.bar.n, bar.bar.total) == (1, 4)
        assert bar.bar.desc.startswith("[1/2] L0")
        assert bar.bar.postfix == "loss 0.123, 3 s left"
        clock[0] += 0.1
        bar.on_step(2, 4, 9.0)
        assert bar.bar.n == 1  # not drawn again within a fifth of a second
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
