"""Columns of `measures`."""

from raysweep.tables.columns.shared import COMPUTED_ON, FLOAT, FLOATS, TEXT, source_digest
from raysweep.tables.keys import Column

MEASURES: list[Column] = [
    ("measure_id", TEXT, "The id of the measurement: a measure of one comparison."),
    ("barrier_id", TEXT, "The comparison: with `split`, the row of `barriers` and of `curves`."),
    ("measure", TEXT, "Its name in `compare.measures`."),
    source_digest("measure"),
    ("split", TEXT, "train (its first `compare.train_examples` examples) or test."),
    (
        "part",
        TEXT,
        "Which of several numbers this is: a layer of feature_connectivity, loss or error of ensemble. Null "
        "for a measure of one number.",
    ),
    ("largest", FLOAT, "The largest value over the grid, in units of the measure like all that follows."),
    ("centre", FLOAT, "The value at equal weights."),
    (
        "largest_excess",
        FLOAT,
        "The largest excess over the values of the networks, interpolated with the same weights.",
    ),
    ("centre_excess", FLOAT, "That excess at equal weights."),
    ("ends", FLOATS, "The values of the networks themselves, in the order of the weights."),
    ("values", FLOATS, "The value at each point, in the order of `weights` in `curves`."),
    ("seconds", FLOAT, "The time from the beginning of the comparison until this was measured (s)."),
    *COMPUTED_ON,
]
