"""Provenance: what computed results, stored once under its digest, which the results carry.

provenance/<digest>.json    versions, commits, machine, node and command
"""

import json
from collections.abc import Mapping
from typing import Any

from raysweep.digest import digest
from raysweep.errors import CorruptObject
from raysweep.store.files import Files
from raysweep.store.records import json_object

PROVENANCE = "provenance"
CHARACTERS = 12  # of the digest: 48 bits for some thousands of facts
Facts = Mapping[str, Any]


def write_provenance(files: Files, facts: Facts) -> str:
    """Store facts unless they are there, and return their digest."""
    found, content = _digest(facts), json.dumps(facts, indent=1, sort_keys=True).encode()
    name = f"{PROVENANCE}/{found}.json"
    if not files.holds(name, content):
        files.put(name, content)
    return found


def read_provenance(files: Files, name: str) -> dict[str, Any]:
    """Return the facts in an object. Raises `CorruptObject` where they do not have the digest in its name."""
    try:
        facts = json_object(files.find(name) or b"")
    except CorruptObject as error:
        raise CorruptObject(f"{files.where(name)}: {error}") from error
    if name != f"{PROVENANCE}/{_digest(facts)}.json":
        raise CorruptObject(f"{files.where(name)}: does not have the digest in its name")
    return facts


def _digest(facts: Facts) -> str:
    return digest(facts)[:CHARACTERS]
