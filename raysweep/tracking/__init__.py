"""Logs the published tables to MLflow, which no other room imports."""

from raysweep.tracking.tracker import Tracker

__all__ = ["Tracker"]
