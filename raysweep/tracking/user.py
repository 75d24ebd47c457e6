"""Whose runs are logged, as MLflow itself says it."""

import getpass
import os

NOBODY = "raysweep"  # in a container whose user has no name


def user() -> str:
    """Return the user of the tracking server, or else of this machine."""
    try:
        return os.environ.get("MLFLOW_TRACKING_USERNAME") or getpass.getuser()
    except (OSError, KeyError, ImportError):
        return NOBODY
