"""The names that sweep files use for functions: raysweep's own ones in tables, and those of a user's own."""

from raysweep.registry.arguments import arguments, check_options, taken
from raysweep.registry.own_function import OwnFunction, is_own
from raysweep.registry.table import Entry, Registry, imported

__all__ = ["Entry", "OwnFunction", "Registry", "arguments", "check_options", "imported", "is_own", "taken"]
