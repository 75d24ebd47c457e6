"""What a signal does to a command: the first one ends it in order, a second one at once."""

import os
import signal
import subprocess
import sys
import time

import pytest

from raysweep import interruption
from raysweep.interruption import (
    exit_code,
    hold,
    holding,
    interrupted,
    interruptible,
    orderly,
    stops,
)

CODES = {signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGUSR1: 138, signal.SIGTERM: 143}


def send(number):
    os.kill(os.getpid(), number)
    time.sleep(0.01)


@pytest.mark.parametrize(("number", "code"), CODES.items())
def test_a_signal_interrupts_with_its_exit_code(number, code):
    before = signal.getsignal(number)
    with interruptible():
        assert not interrupted()
        with pytest.raises(KeyboardInterrupt):
            send(number)
        assert interrupted()
        assert exit_code() == code
        assert stops() == (number in (signal.SIGTERM, signal.SIGUSR1))
    assert signal.getsignal(number) == before
    assert not interrupted()


def test_a_hangup_that_is_ignored_interrupts_nothing():
    """As under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible():
            send(signal.SIGHUP)
            assert not interrupted()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_work_in_progress_ends_by_itself_and_is_interrupted_then():
    """`timeout` sends its signal twice."""
    done = []

    def work():
        with orderly(10):
            send(signal.SIGTERM)
            send(signal.SIGTERM)
            assert interrupted()
            done.append("what was in progress")

    with interruptible(), pytest.raises(KeyboardInterrupt):
        work()
    assert done


def test_work_that_does_not_end_is_interrupted():
    def work():
        with orderly(0.05):
            send(signal.SIGUSR1)
            time.sleep(10)

    began = time.monotonic()
    with interruptible(), pytest.raises(KeyboardInterrupt):
        work()
    assert time.monotonic() - began < 5


def test_libraries_do_not_take_the_signals_over():
    def take_over(then=lambda: None):
        with holding():
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(15))  # as ray.init does
            then()

    with interruptible():
        take_over()
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # as Tune does
        hold()
        for number in CODES:
            assert signal.getsignal(number) == interruption._receive
        with pytest.raises(KeyboardInterrupt):
            take_over(lambda: send(signal.SIGTERM))
        assert exit_code() == 143


DEAF = "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"  # for minutes, in which Python runs no handler
AGAIN = """
import hashlib, os, signal, threading, time
from raysweep import interruption
interruption.SAME = 0.05
interruption.LIMIT = {limit}
with interruption.interruptible(), interruption.orderly(60):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.1)
    {then}
    time.sleep(30)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("limit", "then", "code"),
    [
        (60, "os.kill(os.getpid(), signal.SIGINT)", 130),
        (0.2, "", 143),
        (0.2, DEAF, 143),
        (60, f"threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT]).start(); {DEAF}", 130),
    ],
)
def test_a_second_signal_or_too_much_time_ends_the_process(limit, then, code):
    began = time.monotonic()
    command = [sys.executable, "-c", AGAIN.format(limit=limit, then=then)]
    assert subprocess.run(command, timeout=30, check=False).returncode == code
    assert time.monotonic() - began < 20
