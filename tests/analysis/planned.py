"""Tables of planned sweeps with made-up numbers: nothing is trained, aligned or evaluated.

All rows that agree in every dimension have one number, which no other row of their table has: a mean over
rows that differ in a dimension is none of these numbers, and has an interval.
"""

import random

import pandas as pd

from raysweep.plan.desired import desired
from raysweep.store.parquet import table_of
from raysweep.store.records import LevelRecord, Metric
from raysweep.sweep.load import check
from raysweep.tables.agreements import Agreement
from raysweep.tables.rows import agreement_row, alignment_row, barrier_row, metric_rows, trial_row
from raysweep.tables.schemas import dimensions, schema

LEAST, MOST = 10_000, 9_000_000  # of the numbers
MEASURED = {
    "trials": ("train_loss", "train_error", "test_loss", "test_error"),
    "alignments": ("objective", "objective_identity", "fixed_points"),
    "agreements": ("fixed_points",),
    "barriers": ("loss_barrier", "error_barrier", "loss_centre", "error_centre"),
}


def planned(train, **sections):
    """Return the frames of a sweep by the names of the tables."""
    wanted = wanted_of(train, **sections)
    tables = {name: frame_of(name, wanted) for name in ROWS}
    tables["measures"] = pd.DataFrame([_measure(row) for row in tables["barriers"].itertuples()])
    tables["curves"] = pd.DataFrame([_curve(row) for row in tables["barriers"].itertuples()])
    return tables


def wanted_of(train, **sections):
    train = {"dataset": "digits", "width": 4, "epochs": 3, "replicates": 4, "batch_size": 700, **train}
    return desired(check("test", {"name": "s", "train": train, **sections}))


def frame_of(table, wanted):
    """Return one table of a plan."""
    return frame(table, ROWS[table](wanted))


def _measure(row):
    """Calibration leaves half of the excess loss."""
    at = {"barrier_id": row.barrier_id, "split": row.split, "measure": "calibrated_loss", "part": None}
    return {**at, "centre_excess": row.loss_centre / 2}


def _curve(row):
    """The corners, and at the centre what the barrier is."""
    count = len(row.networks)
    corners = [[float(at == place) for at in range(count)] for place in range(count)]
    risks = {risk: [0.0] * count + [getattr(row, f"{risk}_barrier")] for risk in ("loss", "error")}
    weights = [*corners, [1 / count] * count]
    return {"barrier_id": row.barrier_id, "split": row.split, "weights": weights, **risks}


def frame(table, rows):
    """Return rows as a table with made-up numbers."""
    found = table_of(rows, schema(table)).to_pandas()
    if table in MEASURED:
        cells = list(zip(*(found[name].map(str) for name in dimensions(table)), strict=True))
        places = {cell: place for place, cell in enumerate(sorted(set(cells)))}
        numbers = random.Random(table).sample(range(LEAST, MOST), len(places))
        for name in MEASURED[table]:
            found[name] = [float(numbers[places[cell]]) for cell in cells]
    return found


def _levels(wanted):
    for trial_id, extent in wanted.extents.items():
        ends = (extent.start, extent.total)
        metrics = [
            Metric(step, 1.0, split, 0.0, 0.0, 0.0) for step in set(ends) for split in ("train", "test")
        ]
        for level in extent.levels:
            sparsity = 1 - 0.8**level
            yield trial_id, level, LevelRecord(extent.total, sparsity=sparsity, metrics=tuple(metrics))


def _trials(wanted):
    return [trial_row(wanted, *each) for each in _levels(wanted)]


def _metrics(wanted):
    return [row for each in _levels(wanted) for row in metric_rows(*each)]


def _alignments(wanted):
    found = {
        "objective": 0.0,
        "objective_identity": 0.0,
        "iterations": 1,
        "fixed_points": 0.0,
        "seconds": 0.0,
        **dict.fromkeys(("hardware", "software", "provenance")),
    }
    return [
        {**alignment_row(wanted, job), "alignment_id": identity, **found}
        for identity, job in wanted.alignments.items()
    ]


def _agreements(wanted):
    return [agreement_row(wanted, job, Agreement(0.0, {})) for job in wanted.agreements.values()]


def _barriers(wanted):
    found = dict.fromkeys(MEASURED["barriers"], 0.0)
    found |= {"loss_weights": [0.5, 0.5], "error_weights": [0.5, 0.5], "seconds": 0.0}
    found |= dict.fromkeys(("hardware", "software", "execution", "provenance"))
    return [
        {**barrier_row(wanted, job.comparison), "barrier_id": identity, "split": split, **found}
        for identity, job in wanted.barriers.items()
        for split in wanted.sweep.sections.compare.splits
    ]


ROWS = {
    "trials": _trials,
    "metrics": _metrics,
    "alignments": _alignments,
    "agreements": _agreements,
    "barriers": _barriers,
}
