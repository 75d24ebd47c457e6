"""The names that sweep files use for functions: raysweep's own ones in tables, and those of a user's own."""

from raysweep.registry.own_function import OwnFunction, is_own, taken
from raysweep.registry.table import Entry, Registry, imported

__all__ = ["Entry", "OwnFunction", "Registry", "imported", "is_own", "taken"]
