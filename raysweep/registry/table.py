"""Registries: the names that a noun of a sweep file may have, each with the function that it stands for.

A registry is a plain table, so that plans are made without the libraries that its functions need. To add a
name, write its function and one entry. A user's own function, written `module:function`, needs no entry.
"""

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from raysweep.choices import valid_choices
from raysweep.registry.own_function import OwnFunction, is_own


@dataclass(frozen=True)
class Entry:
    """A function, written `package.module:function`, with a sentence that says what it does."""

    function: str
    description: str

    @property
    def meaning(self) -> str:
        """What the name stands for, for the documentation."""
        return self.description


def imported(function: str) -> Callable[..., Any]:
    """Import a function of ours, written `package.module:function`."""
    module, _, name = function.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return found


E = TypeVar("E", bound=Entry)


class Registry(Mapping[str, E], Generic[E]):
    """The entries of a noun by name; `noun` is how messages call it, as in "model"."""

    def __init__(self, noun: str, entries: dict[str, E], *, own: bool = True) -> None:
        """Where `own` is true, a user's `module:function` is as good as a name."""
        self.noun, self.entries, self.own = noun, entries, own

    def __getitem__(self, name: str) -> E:
        """Return an entry of ours. Raises `ValueError` for another name."""
        if name not in self.entries:
            raise ValueError(f"unknown {self.noun} {name!r}; {self._choices(name)}")
        return self.entries[name]

    def __contains__(self, name: object) -> bool:
        return name in self.entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def check(self, name: str) -> str:
        """Return a name that stands for something. Raises `ValueError` with the valid choices for another."""
        if name in self.entries or self.is_own(name):
            return name
        raise ValueError(self._choices(name))

    def is_own(self, name: str) -> bool:
        """Whether a name is that of a user's function, and the noun takes such functions."""
        return self.own and is_own(name)

    def function(self, name: str) -> Callable[..., Any]:
        """Import the function that a name stands for.

        Raises `ValueError` for an unknown name, `UserError` for a user's function that cannot be imported.
        """
        if self.is_own(name):
            return self.own_function(name).load()
        return imported(self[name].function)

    def own_function(self, name: str) -> OwnFunction:
        """Return a user's function, not yet imported."""
        return OwnFunction(self.noun, name)

    def _choices(self, name: str) -> str:
        own = f", or module:function for one of your own ({self.noun})" if self.own else ""
        return valid_choices(name, self.entries) + own
