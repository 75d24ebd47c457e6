"""Which networks of a sweep are independent of each other."""

import pandas as pd


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
