"""Types and columns that several tables share."""

from collections.abc import Iterable

import pyarrow as pa

from raysweep.tables.keys import Column

TEXT, INT, FLOAT, BOOL = pa.string(), pa.int64(), pa.float64(), pa.bool_()
TEXTS, FLOATS = pa.list_(TEXT), pa.list_(FLOAT)

# The keys of `train` that every table names. A comparison may be of networks whose widths differ.
SHOWN = ("dataset", "model", "norm")

GROUP: list[Column] = [
    (
        "group",
        TEXT,
        "The setting that the networks share: everything but the replicate. A comparison of two settings "
        "has a value of its own.",
    ),
    *((name, TEXT, f"`train.{name}`") for name in SHOWN),
    ("width", INT, "`train.width`; null where the networks differ in it."),
]

# They tell no rows apart: on a cluster of several kinds of machines, one setting is computed on all of them.
COMPUTED_ON: list[Column] = [
    (
        "hardware",
        TEXT,
        "The GPU, or the kind of processor and its vector instructions, that computed this. Several, "
        "separated by semicolons, where the work was resumed on another one. Null where it is not known.",
    ),
    (
        "software",
        TEXT,
        "The versions of PyTorch and, on a GPU, of CUDA, cuDNN and Triton. Null where they are not known.",
    ),
    (
        "provenance",
        TEXT,
        "The row of `provenance` that says what computed this, and by which command. Several, separated by "
        "semicolons, where the work was resumed. Null where it is not known.",
    ),
]


def source_digest(what: str) -> Column:
    """Return the column of the source of the user's own function; `what` names it, as in "method"."""
    return (
        "source_digest",
        TEXT,
        f"The SHA-256 of the file that defines your own {what}, which is kept in `sources/` under the root. "
        "Null for raysweep's.",
    )


def listed(names: Iterable[str]) -> str:
    """Return names as a list in words: `a, b or c`."""
    *others, last = names
    return f"{', '.join(others)} or {last}"
