"""How the driver asks the training processes of its run to stop: a key in the store of Ray's head node."""

import time
from collections.abc import Callable

import ray
from ray.experimental import internal_kv

EVERY = 1.0  # seconds between two looks at the key, each of which is a request to the head node


def ask_to_stop(run: str) -> None:
    """Ask all training processes of a run to note a resume point and to end."""
    internal_kv._internal_kv_put(_key(run), b"1")


def asked_to_stop(run: str) -> Callable[[], bool]:
    """Return a function that tells whether the processes of a run were asked to stop."""
    asked, looked = False, time.monotonic()

    def look() -> bool:
        nonlocal asked, looked
        if not asked and time.monotonic() - looked >= EVERY:
            looked = time.monotonic()
            try:
                asked = internal_kv._internal_kv_exists(_key(run))
            except ray.exceptions.RayError:  # a head node that does not answer is no reason to end a trial
                return False
        return asked

    return look


def _key(run: str) -> str:
    return f"raysweep/stop/{run}"
