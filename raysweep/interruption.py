"""Signals that interrupt a run.

They are Ctrl-C, SIGTERM (Kubernetes, Slurm, `timeout`), SIGUSR1 (Slurm, if asked), and SIGHUP of a terminal
that is closed, unless it is ignored, as under `nohup`.

The first signal ends the run in order, with the exit code 128 + its number; a second one ends the process at
once. Ray and Tune install handlers of their own, which would end the driver with a C++ stack or be ignored.

Python runs handlers in the main thread, between two instructions, and so not while it waits for a request to
storage. Signals are therefore counted in a thread of their own, which ends the process when it is time.
"""

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
LIMIT = 18.0  # seconds after a signal at which the process ends, whatever it is doing
SAME = 1.0  # seconds within which a signal counts as the same: `timeout` sends it to a process and its group


@dataclass
class _State:
    installed: bool = False
    signals: tuple[signal.Signals, ...] = ()
    terminal: tuple[int, ...] = ()  # the descriptors of its outputs
    received: int | None = None
    limit: threading.Timer | None = None
    patience: float = 0.0  # seconds for which `orderly` still waits; 0 outside of it


_state = _State()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Have signals raise `KeyboardInterrupt`, or, within `orderly`, be noted first.

    Outside of the main thread, where Python delivers no signals, this does nothing.
    """
    global _state
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (*SIGNALS, signal.SIGALRM)}
    ignored = {signal.SIGHUP} if before[signal.SIGHUP] == signal.SIG_IGN else set()
    signals = tuple(number for number in SIGNALS if number not in ignored)
    _state = _State(installed=True, signals=signals, terminal=tuple(filter(os.isatty, (1, 2))))
    hold()
    try:
        with _counted():
            yield
    finally:
        _state.installed = False
        if _state.limit:
            _state.limit.cancel()
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def hold() -> None:
    """Install the handlers again, over those of a library, if `interruptible` has installed them."""
    if _state.installed:
        for number in _state.signals:
            signal.signal(number, _receive)
        signal.signal(signal.SIGALRM, _give_up)


@contextlib.contextmanager
def holding() -> Iterator[None]:
    """Survive a call of a library that installs handlers which raise `SystemExit` on SIGTERM."""
    try:
        yield
    except SystemExit:
        hold()
        _receive(signal.SIGTERM, None)
        raise KeyboardInterrupt from None  # within `orderly` too: the call did not do its work
    finally:
        hold()


@contextlib.contextmanager
def orderly(seconds: float) -> Iterator[None]:
    """Have the first signal noted by `interrupted`, and let the block end by itself for so many seconds.

    Raises `KeyboardInterrupt` after that time, or at the end of the block.
    """
    _state.patience = seconds
    try:
        yield
    finally:
        _state.patience = 0.0
        if _state.installed:
            signal.setitimer(signal.ITIMER_REAL, 0)
    if interrupted():
        raise KeyboardInterrupt


def interrupted() -> bool:
    """Whether a signal has been received since `interruptible` was entered."""
    return _state.installed and _state.received is not None


def exit_code() -> int:
    """Return 128 + the signal's number: 129 for SIGHUP, 130 for Ctrl-C, 138 for SIGUSR1, 143 for SIGTERM."""
    return 128 + (_state.received or signal.SIGINT)


def stops() -> bool:
    """Whether the signal asks that the work ends, wherever it runs, rather than this command alone."""
    return _state.received in (signal.SIGTERM, signal.SIGUSR1)


@contextlib.contextmanager
def _counted() -> Iterator[None]:
    """Count signals in a thread, to which the interpreter sends the number of each when it arrives."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    thread = threading.Thread(target=_count, args=[reading], daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writing)
        thread.join()
        os.close(reading)


def _count(reading: int) -> None:
    """End the process some time after the first signal, and at once at a second one."""
    first = 0.0
    while received := os.read(reading, 1):
        number, now = received[0], time.monotonic()
        if number not in _state.signals:
            continue
        if first and now - first > SAME:
            _end(128 + number)
        if not first:
            first = now
            _end_later(number)


def _end_later(number: int) -> None:
    _state.limit = threading.Timer(LIMIT, _end, [128 + number])
    _state.limit.daemon = True
    _state.limit.start()


def _receive(number: int, _: FrameType | None) -> None:
    if _state.received is not None:
        return
    _state.received = number
    if number == signal.SIGHUP:  # what is written to the terminal would fail
        for descriptor in _state.terminal:
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    if not _state.patience:
        raise KeyboardInterrupt
    signal.setitimer(signal.ITIMER_REAL, _state.patience)


def _give_up(*_: object) -> None:
    raise KeyboardInterrupt


def _end(code: int) -> None:
    """End the process. What it had stored is complete, and Ray's processes end when it is gone."""
    if sys.stdout.isatty():
        os.write(1, b"\x1b[?25h\n")  # the progress bars hide the cursor
    os._exit(code)
