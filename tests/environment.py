"""Environment variables of tests."""

import os


def restore(before):
    """Set environment variables back to what they were (None: not set)."""
    for key, value in before.items():
        os.environ.pop(key, None)
        if value is not None:
            os.environ[key] = value
