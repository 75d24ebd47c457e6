"""MLflow, from the tables: the only folder that imports mlflow."""

from raysweep.tracking.tracker import Tracker

__all__ = ["Tracker"]
