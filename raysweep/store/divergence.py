"""The trainings that have diverged: they would again, and are not repeated unless a user asks for it.

diverged/<trial_id>    why, when, on which node and at which attempt
"""

import json
from collections.abc import Collection
from dataclasses import asdict, dataclass

from pydantic import TypeAdapter, ValidationError

from raysweep.errors import CorruptObject
from raysweep.store.files import Files

FOLDER = "diverged"


@dataclass(frozen=True)
class Divergence:
    """How a training diverged; the fields are columns of the table `failures`."""

    error: str
    attempts: int
    node: str
    time: float


_DIVERGENCE = TypeAdapter(Divergence)


def note_divergence(files: Files, trial_id: str, divergence: Divergence) -> None:
    files.put_checked(f"{FOLDER}/{trial_id}", json.dumps(asdict(divergence)).encode())


def read_divergence(files: Files, trial_id: str) -> Divergence | None:
    """Return how a trial diverged; None where it did not, or where the note is damaged."""
    try:
        content = files.find_checked(f"{FOLDER}/{trial_id}")
        return None if content is None else _DIVERGENCE.validate_json(content)
    except (CorruptObject, ValidationError):
        return None


def divergences(files: Files, trial_ids: Collection[str]) -> dict[str, Divergence]:
    """Return those of some trials that have diverged."""
    noted = {name.removeprefix(f"{FOLDER}/") for name in files.list(FOLDER)}
    found = {trial_id: read_divergence(files, trial_id) for trial_id in trial_ids if trial_id in noted}
    return {trial_id: divergence for trial_id, divergence in found.items() if divergence}


def forget_divergences(files: Files, trial_ids: Collection[str]) -> None:
    """Have trials that have diverged trained again."""
    for name in files.list(FOLDER):
        if name.removeprefix(f"{FOLDER}/") in trial_ids:
            files.delete(name)
