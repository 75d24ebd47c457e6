"""Content digests: the ids of trials, alignments and barriers, and seeds for generators."""

import hashlib
import json
from typing import Any

ID_CHARACTERS = 20  # 80 bits: a collision among a million ids has a probability below 1e-12


def digest(value: Any) -> str:
    """Return the id of a JSON-like value; equal values have equal ids on every machine.

    Raises `ValueError` for NaN and infinities, which have no canonical JSON form.
    """
    return digest_of(canonical(value))


def canonical(value: Any) -> str:
    """Return the canonical JSON text of a value; that of a list is made of those of its parts."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_of(text: str) -> str:
    """Return the id of the value with this canonical text."""
    return hashlib.sha256(text.encode()).hexdigest()[:ID_CHARACTERS]


def seed_for(purpose: str, *key: int | str) -> int:
    """Return a 63-bit seed for one purpose, independent of every other purpose and key."""
    return int(hashlib.sha256(repr((purpose, *key)).encode()).hexdigest()[:16], 16) >> 1
