"""Rows of `barriers`, `alignments` and `trials` of a few networks, in the form of the published tables."""

from itertools import combinations

import pandas as pd

from analysis.summary import paper

METHOD = "weight_matching"
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
    **dict.fromkeys(("path_networks", "cycle", "joint_networks", "mean_networks", "stack")),
    **paper.COMPARE,
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
        [
            {"alignment_id": f"{a}{b}", "networks": [a, b], "method": METHOD, **paper.ALIGN[METHOD]}
            for a, b in combinations(networks, 2)
        ]
    )


def trial_rows(names="abcd", branch="main", init_seed=None, start=0, spawn_at=None, test_error=0.05):
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
            "steps": SHARED["step"],
            "spawn_at": spawn_at,
            "parent_trial": None,
            "test_error": test_error,
            "guess_error": 0.9,
            "running_statistics": False,
        }
        for position, name in enumerate(names)
    ]


def via_rows(width, barrier, networks=NETWORKS, splits=("test",)):
    """All pairs of networks aligned to each of the others, with one barrier."""
    return [
        row
        for reference in networks
        for one, other in combinations([n for n in networks if n != reference], 2)
        for row in pair_rows(
            "via",
            width,
            barrier,
            METHOD,
            (one, other),
            splits,
            alignments=["".join(sorted((each, reference))) for each in (one, other)],
            reference=reference,
        )
    ]


def joint_rows(width, barrier, size=3, networks=NETWORKS):
    """All pairs within every set of `size` jointly aligned networks, with one barrier."""
    return [
        row
        for together in combinations(networks, size)
        for row in pair_rows(
            "joint",
            width,
            barrier,
            METHOD,
            together,
            ("test",),
            alignments=["".join(together)] * 2,
            joint_networks=size,
        )
    ]


def joint_alignments(size=3, networks=NETWORKS):
    return pd.DataFrame(
        [
            {"alignment_id": "".join(together), "networks": list(together)}
            for together in combinations(networks, size)
        ]
    )


def set_rows(kind, width, barrier, size=3, interpolation="simplex", networks=NETWORKS, **more):
    """All sets of `size` networks mixed at once, with one barrier and excess at the centre; test set."""
    return [
        {
            **SHARED,
            "barrier_id": f"{interpolation}{kind}{width}{''.join(together)}",
            "interpolation": interpolation,
            "kind": kind,
            "method": None if kind == "unaligned" else METHOD,
            "networks": list(together),
            "alignments": ["".join(together)] if kind == "joint" else [],
            "joint_networks": size if kind == "joint" else None,
            "mean_networks": size if interpolation == "mean" else None,
            "group": f"group{width}",
            "width": width,
            "split": "test",
            **{f"{risk}_{what}": barrier for risk in ("loss", "error") for what in ("barrier", "centre")},
            **more,
        }
        for together in combinations(networks, size)
    ]


def composed_rows(width, barrier, paths):
    """A row per path (or cycle, whose ends are the same network)."""
    return [
        row
        for path in paths
        for row in pair_rows(
            "composed", width, barrier, METHOD, (path[0], path[-1]), ("test",), path=list(path)
        )
    ]


def fixed_rows(width, share, paths):
    """Rows of `agreements`: the share of fixed points of every path (or cycle)."""
    return [
        {
            "kind": "cycle" if path[0] == path[-1] else "path",
            "method": METHOD,
            "group": f"group{width}",
            "networks": list(path),
            "fixed_points": share,
        }
        for path in paths
    ]
