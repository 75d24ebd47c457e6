"""The keys in which work differs from stored work, and what is said of each."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from raysweep.plan.notices.changed_parts import changed_parts
from raysweep.plan.record import source_name
from raysweep.plan.versions import reasons
from raysweep.registry import OwnFunction
from raysweep.store.files import CorruptObject, Files

MOST_CHANGES = 3  # with more keys that differ, work is not called the same
SEEDS = ("train.init_seed", "train.data_seed")
VERSION = "version"  # how keys begin that hold one; the word of the text follows
SOURCE = "source"  # how keys begin that hold the digest of a user's file; the key of `train` follows
Keys = dict[str, Any]


def of_code(keys: Iterable[str]) -> bool:
    """Whether keys are those of versions and of the user's files alone."""
    return all(key.startswith((f"{VERSION} ", f"{SOURCE} ")) for key in keys)


def differing_keys(before: Keys, now: Keys) -> list[str]:
    """Return the keys in which two differ, and seeds only where there are no others.

    Where another function is named, the file in which it lies says nothing more.
    """
    keys = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
    keys = [key for key in keys if f"train.{key.removeprefix(f'{SOURCE} ')}" not in keys]
    if {"train.device", "train.channels_last", "train.model", "train.init"} & set(keys):
        keys = [key for key in keys if key != f"{VERSION} trial"]
    return [key for key in keys if key not in SEEDS] or keys


def change(files: Files, key: str, old: Any, new: Any, own: Mapping[str, OwnFunction]) -> str:
    """Say how a key changed; `own` are the user's functions by what follows `SOURCE` in keys."""
    if key.startswith(f"{VERSION} "):
        return _new_version(key.removeprefix(f"{VERSION} "), old, new)
    if key.startswith(f"{SOURCE} "):
        return _source_change(files, old, own[key.removeprefix(f"{SOURCE} ")])
    return f"{key} {shown(old)} -> {shown(new)}"


def _new_version(word: str, old: Any, new: Any) -> str:
    article = "an" if word.startswith("a") else "a"
    why = "; ".join(reasons(word, int(old), int(new))) or "no reason is recorded"
    return f"raysweep's version of {article} {word}, {old} -> {new} ({why})"


def _source_change(files: Files, before: str | None, own: OwnFunction) -> str:
    """Say which parts of a user's file differ from the stored one."""
    named = f"source of {own.split()[0].replace('.', '/')}.py"
    try:
        stored = files.find(source_name(before or ""))
    except CorruptObject:
        stored = None
    return f"{named} changed{f' in {changed_parts(stored, own.source())}' if stored else ''}"


def shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def lists(batch: pa.RecordBatch, *columns: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(batch.column(name).to_pylist() for name in columns), strict=True)
