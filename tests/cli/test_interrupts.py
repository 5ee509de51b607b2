"""One Ctrl-C ends a process at once, wherever it is."""

import signal
import subprocess
import sys
import threading

import pytest

from uncle_jax.cli.interrupts import CODE, stopping

BUSY = {
    "asleep": "time.sleep(60)",
    "computing": "sum(i for i in range(10**12))",
    "waiting for a thread": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "where an exception is lost": "gc.callbacks.append(lambda *_: time.sleep(60)); gc.collect()",
    "where an exception is caught": "[caught() for _ in range(10**9)]",
}
CODE_OF = """
import gc, signal, sys, threading, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
from uncle_jax.cli.arguments import exit_code

def caught():
    try:
        time.sleep(0.01)
    except BaseException:
        pass

def command():
    print("ready", flush=True)
    {busy}
    return 0

sys.exit(exit_code(command, "go on", process=True))
"""


@pytest.mark.parametrize("busy", BUSY)
def test_one_line_and_130(busy):
    command = [sys.executable, "-c", CODE_OF.format(busy=BUSY[busy])]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as child:
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGINT)
        try:
            _, err = child.communicate(timeout=30)
        finally:
            child.kill()
    assert (child.returncode, err) == (CODE, "interrupted: go on\n")


def test_what_was_there_before_is_there_again():
    before = signal.getsignal(signal.SIGINT)
    with stopping("go on"):
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.set_wakeup_fd(-1) == -1


def test_other_signals_pass():
    heard = []
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.append(1))
    with stopping("go on"):
        signal.raise_signal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, before)
    assert heard == [1]


def test_a_thread_leaves_signals_alone():
    before, seen = signal.getsignal(signal.SIGINT), []

    def inside():
        with stopping("go on"):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [before]
