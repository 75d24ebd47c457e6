"""Environment variables of tests."""

import contextlib
import os


def restore(before):
    """Set environment variables back to what they were (None: not set)."""
    for key, value in before.items():
        os.environ.pop(key, None)
        if value is not None:
            os.environ[key] = value


@contextlib.contextmanager
def variables(changes):
    """Set environment variables (None: not set) while the block runs."""
    before = {key: os.environ.get(key) for key in changes}
    restore(changes)
    try:
        yield
    finally:
        restore(before)
