"""Names for the settings of a sweep, made of the swept keys in which they differ."""

from collections.abc import Iterable
from functools import cache, partial
from typing import Any

import pandas as pd

from raysweep.sweep.imports import STATABLE
from raysweep.sweep.prune import PRUNED, Pruning
from raysweep.sweep.train import Training

SHOWN = ("dataset", "model", "norm", "width")  # stand in every title and name
SEEDS = ("init_seed", "data_seed")
SETTINGS = [*(key for key in Training.model_fields if key not in (*SHOWN, *SEEDS)), *SEEDS]
COUNTED = ("half", *SEEDS)  # these may depend on the replicate within one setting


def variants(rows: pd.DataFrame, trials: pd.DataFrame, but: Iterable[str] = ()) -> pd.Series:
    """Return for every row what distinguishes its setting from others of its data set, model and norm.

    `rows` are rows of `trials`, or of a table with `networks`, of which the first one counts; `trials` is the
    whole table. The name is "" where there is no other setting. Keys in `but`, keys that `trials` lacks, and
    keys that distinguish no more settings than those before them are left out. A pruned chain has the name of
    its dense network; `prunings` tells chains of one network apart.
    """
    keys = [key for key in SETTINGS if key in trials and key not in but]
    found: dict[tuple[str, str], str] = {}
    for _, same in _families(rows, trials).groupby(["dataset", "model", "norm"]):
        words = pd.DataFrame({key: _words(key, same) for key in keys if _may_differ(key, same)}, same.index)
        chosen: list[str] = []
        settings = 1
        for key in words.columns[words.nunique() > 1]:
            count = len(words[[*chosen, key]].drop_duplicates())
            if count > settings:
                chosen.append(key)
                settings = count
        owned = zip(same.trial_id, same.group, strict=True)
        found.update(zip(owned, _joined(words, chosen), strict=True))
    owners = zip(_first(rows), rows.group, strict=True)
    return pd.Series([found[owner] for owner in owners], rows.index, dtype=str, name="variant")


def prunings(rows: pd.DataFrame, trials: pd.DataFrame) -> pd.Series:
    """Return for every row the keys of `prune` in which its trial differs from other pruned ones, in words.

    `rows` and `trials` are those of `variants`. The name is "" for dense networks, where all are pruned in
    the same way, and in tables that lack these keys.
    """
    pruned = trials[trials.level > 0].drop_duplicates("trial_id")
    columns = [key for key in Pruning.model_fields if f"{PRUNED}{key}" in pruned]
    found = {key: pruned[f"{PRUNED}{key}"].map(partial(word_of, key)) for key in columns}
    words = pd.DataFrame(found, pruned.index)
    names = _joined(words, words.columns[words.nunique() > 1])
    named = dict(zip(pruned.trial_id, names, strict=True))
    return _first(rows).map(lambda trial: named.get(trial, "")).astype(str).rename("pruning")


def _joined(words: pd.DataFrame, columns: Iterable[str]) -> list[str]:
    """The words of some columns in each row; pandas' own `agg` makes a series of every row."""
    chosen = [words[column].tolist() for column in columns]
    return [", ".join(row) for row in zip(*chosen, strict=True)] if chosen else [""] * len(words)


def _first(rows: pd.DataFrame) -> pd.Series:
    """The trial of each row, or that of its first network."""
    return rows.trial_id if "trial_id" in rows else rows.networks.str[0].map(trial_of)


@cache  # so that a million rows share the texts
def trial_of(network: str) -> str:
    """Return the trial of a network written `trial_id@level@step`."""
    return network.split("@")[0]


def _families(rows: pd.DataFrame, trials: pd.DataFrame) -> pd.DataFrame:
    """The trials by setting; a trial that two settings share is listed in one and compared in both."""
    listed = trials.drop_duplicates("trial_id")
    if "networks" not in rows:
        return listed
    pairs = zip(rows.networks, rows.group, strict=True)
    compared = {(trial_of(network), group) for networks, group in pairs for network in networks}
    shared = sorted(compared.difference(zip(listed.trial_id, listed.group, strict=True)))
    if not shared:
        return listed
    found = pd.DataFrame(shared, columns=["trial_id", "group"])
    return pd.concat([listed, found.merge(listed.drop(columns="group"), on="trial_id")], ignore_index=True)


def _may_differ(key: str, trials: pd.DataFrame) -> bool:
    """Whether settings can have different words for a key; most keys have one value, and words take time."""
    values = trials[key]
    if values.dtype != object:
        return key in COUNTED or values.nunique(dropna=False) > 1
    return key in COUNTED or len({*map(repr, values.tolist())}) > 1


def _words(key: str, trials: pd.DataFrame) -> pd.Series:
    """The word for a key in each setting, whose trials have the same value of `group`."""
    words = _word_of_each(key, trials[key])
    if key not in COUNTED:
        return words
    found: dict[str, set[str]] = {}
    for group, word in zip(trials.group, words, strict=True):
        found.setdefault(group, set()).add(word)
    by_replicate = {group for group, those in found.items() if len(those) > 1}
    if "replicate" in trials and key in SEEDS:
        by_replicate |= found.keys() - set(trials.group[trials[key] != trials.replicate])
    return words.mask(trials.group.isin(by_replicate), f"{key.replace('_', ' ')} by replicate")


def _word_of_each(key: str, values: pd.Series) -> pd.Series:
    """The words for values of a key; where these can be told apart at once, each is put into words once."""
    if values.dtype == object:
        return values.map(lambda value: word_of(key, value))
    return values.map({value: word_of(key, value) for value in values.unique()})


def word_of(key: str, value: Any) -> str:
    """Return words for a value of a swept key, such as `half 0` or `no half`; each value has its own."""
    if key == "dataset":
        return str(value)
    if key == "spawn_at":
        return "not spawned" if pd.isna(value) else f"spawned at {value}"
    name = key.replace("_", " ")
    if isinstance(value, str):
        return f"{name} {value}"
    if hasattr(value, "__len__"):
        return f"{name} {list(value)}"
    if pd.isna(value):  # of an imported network what its user has not stated is not known
        return f"{name} not known" if key in STATABLE else f"no {name}"
    return f"{name} {value:.15g}"
