"""Columns of `failures`."""

from raysweep.tables.columns.shared import FLOAT, INT, TEXT
from raysweep.tables.keys import Column

FAILURES: list[Column] = [
    ("id", TEXT, "The id of the trial, alignment, barrier or agreement."),
    ("what", TEXT, "trial, alignment, barrier or agreement."),
    ("error", TEXT, "The traceback."),
    ("attempts", INT, "The number of attempts."),
    ("node", TEXT, "The node of the last failure."),
    ("time", FLOAT, "The time of the last failure (s since 1970)."),
]
