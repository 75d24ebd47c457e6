"""Which networks of a sweep belong together where a title does not say it: by every other key of `train`."""

import pandas as pd

from analysis.tasks import word_of
from raysweep.store.tables import TABLES

_COLUMNS = [name for name, _, _ in TABLES["trials"]]
_SEEDS = ("init_seed", "data_seed", "spawn_at", "spawn_replicate")  # these differ among comparable networks
SETTINGS = [
    name
    for name in _COLUMNS[_COLUMNS.index("split_seed") : _COLUMNS.index("device") + 1]
    if name not in _SEEDS
]


def variants(trials: pd.DataFrame) -> dict[str, str]:
    """Return for every group the settings that other groups of the same title do not share; "" without any.

    A dense group and its pruned ones share all settings, so they have the same name.
    """
    found = {}
    for _, same in trials.drop_duplicates("group").groupby(["dataset", "model", "norm", "width"]):
        words = {
            row["group"]: [word_of(key, row[key]) for key in SETTINGS] for row in same.to_dict("records")
        }
        several = [len(set(column)) > 1 for column in zip(*words.values(), strict=True)]
        for group, own in words.items():
            found[group] = ", ".join(word for word, told in zip(own, several, strict=True) if told)
    return found


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
