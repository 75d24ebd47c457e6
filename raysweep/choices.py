"""Names that stand for something: an unknown one is an error, wherever it comes from."""

from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar, cast

Name = TypeVar("Name", bound=str)
T = TypeVar("T")


def choose(kind: str, name: str, table: Mapping[Name, T]) -> T:
    """Return what a name stands for. Raises `ValueError` for another name, with those that are valid."""
    check_names(kind, [name], table)
    return table[cast(Name, name)]


def check_names(kind: str, names: Iterable[str], valid: Collection[str]) -> None:
    """Raise `ValueError` for a name that is not valid, with those that are."""
    for name in names:
        if name not in valid:
            raise ValueError(f"unknown {kind} {name!r}; valid: {', '.join(valid)}")
