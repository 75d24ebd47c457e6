"""The trials that a comparison depends on, and the groups whose trials are independent of each other."""

from collections.abc import Iterable, Mapping

import pandas as pd

from raysweep.tables.variants import trial_of
from raysweep.vocabulary import Branch

ALIGNED = ("alignment_id", "networks")  # the columns of `alignments` that `aligned_networks` needs


def aligned_networks(alignments: pd.DataFrame) -> dict[str, list[str]]:
    """Return the networks of every alignment by its id."""
    return dict(zip(alignments.alignment_id, map(list, alignments.networks), strict=True))


def members(barriers: pd.DataFrame, aligned: Mapping[str, Iterable[str]]) -> list[tuple[str, ...]]:
    """Return for each comparison the trials of its networks and of all networks they were aligned with."""
    known: dict[tuple[str, ...], tuple[str, ...]] = {}  # many rows share theirs
    found = []
    for networks, ids in zip(barriers.networks, barriers.alignments, strict=True):
        every = (networks, *map(aligned.__getitem__, ids))
        trials = tuple(sorted({trial_of(name) for each in every for name in each}))
        found.append(known.setdefault(trials, trials))
    return found


def members_of(rows: pd.DataFrame) -> list[list[str]]:
    """Return for each comparison the trials of its networks."""
    return [[trial_of(network) for network in networks] for networks in rows.networks]


def independent(barriers: pd.DataFrame, trials: pd.DataFrame) -> set[str]:
    """Return the groups of comparisons whose networks share neither initialisation nor the start of a run.

    The networks are those that are compared: a trial that two settings share is listed in one of them alone.
    """
    runs = trials.drop_duplicates("trial_id").set_index("trial_id")
    found = set()
    for group, networks in barriers.groupby("group").networks:
        own = runs.loc[sorted({trial_of(name) for each in networks for name in each})]
        if own.branch.isin([Branch.MAIN, Branch.IMPORTED]).all() and own.init_seed.dropna().is_unique:
            found.add(str(group))
    return found
