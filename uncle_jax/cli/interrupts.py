"""Ctrl-C ends a command at once, wherever it is: one line, exit code 130.

Python raises KeyboardInterrupt in whatever runs: in a callback of JAX it is lost, in a library's
thread or destructor it becomes a traceback, and while XLA compiles it waits for minutes. A store
survives a kill at any moment, so the process need not unwind: a thread of its own hears the signal
and ends it.
"""

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

CODE = 130


@contextmanager
def stopping(told: str) -> Iterator[None]:
    """While inside, SIGINT prints "interrupted: `told`" and ends the process, unless ignored."""
    ignored = signal.getsignal(signal.SIGINT) == signal.SIG_IGN  # as with nohup
    if ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    heard, wake = socket.socketpair()
    wake.setblocking(False)

    def listen() -> None:
        with heard:
            while byte := heard.recv(1):
                if byte[0] == signal.SIGINT:
                    _end(told)

    threading.Thread(target=listen, name="interrupts", daemon=True).start()
    # Python's own handler stays away; set_wakeup_fd needs one that is Python's
    before = signal.signal(signal.SIGINT, lambda *_: None)
    # warnings would be printed where signals come faster than they are read
    fd = signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(fd)
        signal.signal(signal.SIGINT, before)
        wake.close()  # which ends the thread


def _end(told: str) -> None:
    """By os.write and os._exit alone: other threads may hold the locks that print takes."""
    started = "\n" if sys.stderr.isatty() else ""  # a progress bar may stand on the line
    line = f"{started}interrupted: {told}\n".encode(sys.stderr.encoding or "ascii", "replace")
    try:
        os.write(2, line)
    finally:
        os._exit(CODE)
