"""Columns of `failures`."""

from raysweep.tables.columns.shared import FLOAT, INT, TEXT
from raysweep.tables.keys import Column

FAILURES: list[Column] = [
    ("id", TEXT, "The id of the trial, alignment, barrier or agreement."),
    ("what", TEXT, "trial, alignment, barrier or agreement."),
    ("error", TEXT, "The traceback, or the inputs that the work waited for and why they are missing."),
    ("attempts", INT, "How often the work was started in this run; 0 where its inputs failed."),
    ("node", TEXT, "Where the last attempt failed: host name and address. Empty where there was none."),
    ("time", FLOAT, "The time of the last failure (s since 1970)."),
]
