"""Small tables of two runs along training: four networks, compared at the epochs 1, 2 and 3."""

from itertools import combinations

import pandas as pd

from tests.analysis.barrier_rows import SHARED, trial_rows

PER_EPOCH = 3
EPOCHS = (1, 2, 3)
METHOD = "weight_matching"
COLUMNS = {"permutation_step": None, "hybrid": None, "hybrid_layers": None}


def pairs(kind, epoch, error, loss, found=None, ids=(), **more):
    """All pairs at an epoch; `found` is the epoch of the permutation."""
    step = epoch * PER_EPOCH
    return [
        {
            **SHARED,
            **COLUMNS,
            "interpolation": "pair",
            "kind": kind,
            "method": None if kind == "unaligned" else METHOD,
            "networks": [f"{one}@0@{step}", f"{other}@0@{step}"],
            "alignments": list(ids),
            "group": "g",
            "width": 8,
            "step": step,
            "permutation_step": None if found is None else found * PER_EPOCH,
            "split": "test",
            "error_barrier": error,
            "loss_barrier": loss,
            **more,
        }
        for one, other in combinations("abcd", 2)
    ]


def along(unaligned=(0.4, 1.0), last=(0.01, 0.02), early=(0.2, 0.8)):
    """No permutation, the last one and those of epochs 1 and 2 at all epochs; each: an error and a loss."""
    rows = []
    for epoch in EPOCHS:
        rows += pairs("unaligned", epoch, *unaligned)
        for found in EPOCHS:
            barriers = last if found == EPOCHS[-1] else early
            rows += pairs("direct", epoch, *barriers, found=found, ids=["pair"])
    return rows


def stack(size, error, loss):
    """One permutation of the last checkpoints of both runs, at all epochs."""
    return [
        row
        for epoch in EPOCHS
        for row in pairs("stacked", epoch, error, loss, found=EPOCHS[-1], ids=[f"stack {size}"], stack=size)
    ]


def hybrid(direction, layers, error, loss):
    """A hybrid of the permutations of epochs 1 and 3, at the end."""
    more = {"hybrid": direction, "hybrid_layers": layers}
    return pairs("hybrid", EPOCHS[-1], error, loss, found=1, ids=["pair", "pair"], **more)


def alignments():
    stacks = [{"alignment_id": f"stack {n}", "networks": ["a"] * n + ["b"] * n} for n in (2, 3)]
    return pd.DataFrame([{"alignment_id": "pair", "networks": ["a", "b"]}, *stacks])


def agreements(shares=(0.1, 0.4)):
    """Fixed points with the last permutation, of the permutations of epochs 1 and 2; those of the last: 1."""
    return [
        {
            "kind": "trajectory",
            "method": METHOD,
            "group": "g",
            "networks": [f"{one}@0@{epoch * PER_EPOCH}", f"{other}@0@{epoch * PER_EPOCH}"],
            "step": epoch * PER_EPOCH,
            "fixed_points": share,
        }
        for epoch, share in zip(EPOCHS, (*shares, 1.0), strict=True)
        for one, other in combinations("abcd", 2)
    ]


def trials():
    return [{**row, "group": "g", "steps": 9, "epochs": 3} for row in trial_rows()]


def write(folder, rows, **more):
    tables = {"barriers": rows, "alignments": alignments(), "agreements": agreements(), "trials": trials()}
    for name, content in {**tables, **more}.items():
        pd.DataFrame(content).to_parquet(folder / name)
