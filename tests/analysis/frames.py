"""Small tables in the form of the published ones."""

from itertools import combinations

import pandas as pd

NETWORKS = tuple(f"{name}@0@9" for name in "abcd")
SHARED = {
    "dataset": "digits",
    "model": "mlp",
    "norm": "none",
    "level": 0,
    "step": 9,
    "statistics": "kept",
    "reference": None,
    "across": None,
    "permutation_step": None,
}


def pair_rows(kind, width, barrier, method=None, networks=NETWORKS, splits=("train", "test"), **more):
    """All pairs of networks with one barrier."""
    return [
        {
            **SHARED,
            "barrier_id": f"{kind}{method}{width}{one}{other}",
            "interpolation": "pair",
            "kind": kind,
            "method": method,
            "networks": [one, other],
            "alignments": [] if method is None else [f"{one}{other}"],
            "group": f"group{width}",
            "width": width,
            "split": split,
            "loss_barrier": barrier,
            "error_barrier": barrier,
            **more,
        }
        for one, other in combinations(networks, 2)
        for split in splits
    ]


def pair_alignments(networks=NETWORKS):
    return pd.DataFrame(
        [{"alignment_id": f"{a}{b}", "networks": [a, b]} for a, b in combinations(networks, 2)]
    )


def trial_rows(names="abcd", branch="main", init_seed=None, start=0, spawn_at=None):
    return [
        {
            **{key: SHARED[key] for key in ("dataset", "model", "norm")},
            "group": "group8",
            "width": 8,
            "trial_id": name,
            "level": 0,
            "branch": branch,
            "init_seed": position if init_seed is None else init_seed,
            "start": start,
            "spawn_at": spawn_at,
        }
        for position, name in enumerate(names)
    ]
