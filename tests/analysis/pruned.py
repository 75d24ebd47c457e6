"""Small tables of pruned networks: four dense ones, their chains, and branches beside them."""

from itertools import combinations

import pandas as pd

from tests.analysis.barrier_rows import SHARED

NAMES = "abcd"
LEVELS = (1, 2)
REWIND, END = 3, 9


def run(trial, level, error=0.05, loss=0.1, **more):
    return {
        **{key: SHARED[key] for key in ("dataset", "model", "norm")},
        "width": 8,
        "epochs": 3,
        "trial_id": trial,
        "branch": "main",
        "parent_trial": None,
        "mask_trial": None,
        "mask_permutation": None,
        "group": "g",
        "level": level,
        "sparsity": 1 - 0.8**level,
        "start": REWIND if level else 0,
        "steps": END,
        "test_error": error,
        "test_loss": loss,
        "guess_error": 0.9,
        "running_statistics": False,
        **more,
    }


def dense_and_chains(**more):
    """Rows of `trials`: dense a, b, c, d and their chains A, B, C, D."""
    dense = [run(name, 0, **more) for name in NAMES]
    return dense + [run(n.upper(), level, parent_trial=n, **more) for n in NAMES for level in LEVELS]


def branch(kind, name, mask, permutation=None, levels=LEVELS, **more):
    """Rows of a run from the rewind point of `name` under masks of the chain of `mask`."""
    own = {"branch": kind, "parent_trial": name, "mask_trial": mask.upper(), "mask_permutation": permutation}
    trial = f"{kind}{name}{mask}{permutation}"
    return [run(trial, level, **own, **more) for level in levels]


def level_rows(kind, level, error, loss, step=END, found=None, **more):
    """All pairs of a level; `found` is the level of the permutation."""
    networks = NAMES if level == 0 else NAMES.upper()
    return [
        {
            **SHARED,
            "interpolation": "pair",
            "kind": kind,
            "method": None if kind == "unaligned" else "weight_matching",
            "networks": [f"{one}@{level}@{step}", f"{other}@{level}@{step}"],
            "group": "g",
            "width": 8,
            "level": level,
            "step": step,
            "permutation_level": found,
            "split": "test",
            "error_barrier": error,
            "loss_barrier": loss,
            **more,
        }
        for one, other in combinations(networks, 2)
    ]


def start_rows(error=0.9, trials=NAMES):
    """Rows of `metrics`: the test error before training."""
    return [{"trial_id": name, "level": 0, "step": 0, "split": "test", "error": error} for name in trials]


def write(folder, **tables):
    for name, rows in tables.items():
        pd.DataFrame(rows).to_parquet(folder / name)
