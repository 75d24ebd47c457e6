"""Which networks of a sweep belong together beyond data set, model and norm: by the other swept keys."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from raysweep.store.tables import TABLES

_COLUMNS = [name for name, _, _ in TABLES["trials"]]
_SEEDS = ("init_seed", "data_seed", "spawn_at", "spawn_replicate")  # these differ among comparable networks
SETTINGS = [
    name
    for name in _COLUMNS[_COLUMNS.index("split_seed") : _COLUMNS.index("device") + 1]
    if name not in _SEEDS
]


def variants(trials: pd.DataFrame, but: Iterable[str] = ()) -> dict[str, str]:
    """Return for every trial the settings that not all trials of its data set, model and norm share.

    "" where they share all of them. Keys in `but`, and keys that the table lacks, set nothing apart. A pruned
    chain has the name of its dense network.
    """
    keys = [key for key in SETTINGS if key in trials and key not in but]
    found = {}
    for _, same in trials.drop_duplicates("trial_id").groupby(["dataset", "model", "norm"]):
        words = {row["trial_id"]: [word_of(key, row[key]) for key in keys] for row in same.to_dict("records")}
        several = [len(set(column)) > 1 for column in zip(*words.values(), strict=True)]
        for trial, own in words.items():
            found[trial] = ", ".join(word for word, told in zip(own, several, strict=True) if told)
    return found


def word_of(key: str, value: Any) -> str:
    """Return a value of a key of `train` for people: `half 0`, `no half`; other values have other words."""
    if key == "dataset":
        return str(value)
    name = key.replace("_", " ")
    if isinstance(value, str):
        return f"{name} {value}"
    if hasattr(value, "__len__"):
        return f"{name} {list(value)}"
    return f"no {name}" if pd.isna(value) else f"{name} {value:.15g}"


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
