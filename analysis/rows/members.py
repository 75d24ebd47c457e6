"""The trials that a comparison depends on, and the groups whose trials are independent of each other."""

from collections.abc import Iterable, Mapping

import pandas as pd

from raysweep.tables.variants import trial_of


def aligned_networks(alignments: pd.DataFrame) -> dict[str, list[str]]:
    """Return the networks of every alignment by its id."""
    return dict(zip(alignments.alignment_id, map(list, alignments.networks), strict=True))


def members(barriers: pd.DataFrame, aligned: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return for each comparison the trials of its networks and of all networks they were aligned with."""
    return [
        sorted({trial_of(name) for each in (networks, *map(aligned.__getitem__, ids)) for name in each})
        for networks, ids in zip(barriers.networks, barriers.alignments, strict=True)
    ]


def members_of(rows: pd.DataFrame) -> list[list[str]]:
    """Return for each comparison the trials of its networks."""
    return [[trial_of(network) for network in networks] for networks in rows.networks]


def independent(trials: pd.DataFrame) -> set[str]:
    """Return the groups whose networks share neither their initialisation nor the start of a run."""
    spawned = set(trials[trials.branch == "spawned"].group)
    found = set()
    chains = trials[trials.branch.isin(["main", "imported"])].drop_duplicates("trial_id")
    for group, same in chains.groupby("group"):
        seeds = same.init_seed.dropna()
        if group not in spawned and seeds.is_unique:
            found.add(str(group))
    return found
