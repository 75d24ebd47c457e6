"""The trial store: trajectories as safetensors, and one record per finished level.

trials/<trial_id>/config.json                           what determines the trial's numbers
trials/<trial_id>/level_000/step_00000660.safetensors   the weights at a step
trials/<trial_id>/level_000/optimiser_00000110.safetensors
trials/<trial_id>/level_003/mask.safetensors            the weights that are kept, one bit each
trials/<trial_id>/level_000/system                      samples of the process that trained it, if asked for
trials/<trial_id>/level_000/done                        metrics, checksums and environment: commits the level
trials/<trial_id>/resume                                from where an unfinished trial resumes
trials/<trial_id>/starts                                the nodes of the processes that started from there
lost_configs/<trial_id>                                 says that config.json is to be written again
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from raysweep.errors import CorruptObject
from raysweep.store.files import NOTE, Files
from raysweep.store.known_levels import known_contents
from raysweep.store.node_cache import NodeCache
from raysweep.store.provenance import Facts, write_provenance
from raysweep.store.records import LevelRecord, Starts, json_object
from raysweep.store.resume import ResumePoint
from raysweep.store.tensors import decode, encode, pack_masks, unpack_masks

if TYPE_CHECKING:
    from raysweep.store.tensors import Tensors

LOST = "lost_configs"
_SAMPLES = TypeAdapter(list[dict[str, float]])


class TrialStore:
    """Checkpoints, masks, level records and resume points by trial id."""

    def __init__(self, files: Files, cache: NodeCache | None = None) -> None:
        """Read and write under the root of `files`; `cache` keeps on this node what was read."""
        self._files, self._cache = files, cache

    def write_config(self, trial_id: str, config: dict[str, Any]) -> None:
        """Write what determines the trial's numbers, for human readers, unless it is already there."""
        content = json.dumps(config, indent=1, sort_keys=True).encode()
        name = f"trials/{trial_id}/config.json"
        if not self._files.holds(name, content):
            self._files.put(name, content)

    def has_config(self, trial_id: str) -> bool:
        """Whether the trial has a configuration and it is its own."""
        try:
            content = self._files.find(f"trials/{trial_id}/config.json")
            return json_object(content or b"").get("trial_id") == trial_id
        except CorruptObject:
            return False

    def note_lost_config(self, trial_id: str) -> None:
        """Have the next run that knows the trial write its configuration again."""
        with contextlib.suppress(OSError):  # a read-only root must remain readable
            self._files.put(f"{LOST}/{trial_id}", NOTE)

    def lost_configs(self) -> list[str]:
        """Return the trials of which `note_lost_config` has been told."""
        return [name.removeprefix(f"{LOST}/") for name in self._files.list(LOST)]

    def restore_config(self, trial_id: str, config: dict[str, Any]) -> None:
        """Write a configuration that has been lost."""
        self.write_config(trial_id, config)
        self._files.delete(f"{LOST}/{trial_id}")

    def note_provenance(self, facts: Facts) -> str:
        """Store what computes a level, unless it is there, and return its digest for the level's record."""
        return write_provenance(self._files, facts)

    def write_checkpoint(self, trial_id: str, level: int, step: int, state: "Tensors") -> str:
        """Write the weights at a step and return their SHA-256."""
        return self._write(_step(trial_id, level, "step", step), state)

    def read_checkpoint(self, trial_id: str, level: int, step: int) -> "Tensors":
        """Read the weights at a step. Raises `CorruptObject` unless they match the level's record."""
        return self.checkpoint(trial_id, level, step)[0]

    def checkpoint(self, trial_id: str, level: int, step: int) -> tuple["Tensors", str]:
        """Read the weights at a step, and return them with their SHA-256. Raises like `read_checkpoint`."""
        checksum = self._committed(trial_id, level).checkpoints.get(step)
        return self._read(_step(trial_id, level, "step", step), checksum), checksum or ""

    def write_optimiser(self, trial_id: str, level: int, step: int, state: "Tensors") -> str:
        """Write the optimiser's state at a step and return its SHA-256."""
        return self._write(_step(trial_id, level, "optimiser", step), state)

    def read_optimiser(self, trial_id: str, level: int, step: int) -> "Tensors":
        """Read the optimiser's state at a step. Raises `CorruptObject` unless it matches the record."""
        checksum = self._committed(trial_id, level).optimisers.get(step)
        return self._read(_step(trial_id, level, "optimiser", step), checksum)

    def write_mask(self, trial_id: str, level: int, masks: "Tensors") -> str:
        """Write the masks of a level, one bit per weight, and return their SHA-256."""
        return self._write(_mask(trial_id, level), pack_masks(masks))

    def read_mask(self, trial_id: str, level: int) -> "Tensors":
        """Read the masks of a level: True where a weight is kept. Raises `CorruptObject`."""
        return unpack_masks(self._read(_mask(trial_id, level), self._committed(trial_id, level).mask))

    def commit(self, trial_id: str, level: int, record: LevelRecord) -> None:
        """Declare a level finished; its objects must have been written before."""
        self._files.put_checked(_done(trial_id, level), record.to_json().encode())

    def record(self, trial_id: str, level: int) -> LevelRecord | None:
        """Return the record of a finished level, or None when it is unfinished or its record is damaged."""
        return _record(self._content(_done(trial_id, level)))

    def records(self, levels: Iterable[tuple[str, int]], sweep: str) -> dict[tuple[str, int], LevelRecord]:
        """Return the records of those levels of trials that are finished, all of which a sweep asks for."""
        wanted = list(levels)
        names = [_done(*level) for level in wanted]
        found = zip(wanted, known_contents(self._files, sweep, names, self._content), strict=True)
        return {level: record for level, content in found if (record := _record(content)) is not None}

    def _content(self, done: str) -> bytes | None:
        try:
            return self._files.find_checked(done)
        except CorruptObject:
            return None

    def write_system_use(self, trial_id: str, level: int, samples: list[dict[str, float]]) -> None:
        """Write samples of the process that trained a level; no number depends on them."""
        self._files.put_checked(_system(trial_id, level), json.dumps(samples).encode())

    def read_system_use(self, trial_id: str, level: int) -> list[dict[str, float]]:
        """Return the samples of the process that trained a level; none where nothing sound is stored."""
        try:
            return _SAMPLES.validate_json(self._files.find_checked(_system(trial_id, level)) or b"[]")
        except (CorruptObject, ValidationError):
            return []

    def write_resume(self, trial_id: str, point: ResumePoint) -> None:
        """Replace the trial's resume point."""
        self._files.put_checked(_resume(trial_id), point.to_bytes())

    def read_resume(self, trial_id: str) -> ResumePoint | None:
        """Return the trial's resume point, or None when there is none or it is damaged."""
        try:
            content = self._files.find_checked(_resume(trial_id))
            return None if content is None else ResumePoint.from_bytes(content)
        except CorruptObject:
            return None

    def note_start(self, trial_id: str, progress: list[Any], node: str) -> Starts:
        """Record that a process starts on `node` from `progress`, whose first entry names the run.

        Returns the starts from there, of which this is the last.
        """
        before = self.starts(trial_id, progress[0]) or Starts(progress, [])
        nodes = [*(before.nodes if before.progress == progress else []), node]
        starts = Starts(progress, nodes, before.attempts + 1)
        self._files.put_checked(_starts(trial_id), starts.to_json().encode())
        return starts

    def starts(self, trial_id: str, run: str) -> Starts | None:
        """Return the starts of a trial where it is now, or None when this run has recorded none."""
        found = self._starts(trial_id)
        return found if found and found.progress[:1] == [run] else None

    def has_starts(self, trial_id: str) -> bool:
        """Whether `note_start` has recorded a start that can be read."""
        return self._starts(trial_id) is not None

    def drop_resume(self, trial_id: str) -> None:
        """Remove the objects that only an unfinished trial uses."""
        self._files.delete(_resume(trial_id))
        self._files.delete(_starts(trial_id))

    def _starts(self, trial_id: str) -> Starts | None:
        try:
            content = self._files.find_checked(_starts(trial_id))
            return None if content is None else Starts.from_json(content)
        except CorruptObject:
            return None

    def _committed(self, trial_id: str, level: int) -> LevelRecord:
        record = self.record(trial_id, level)
        if record is None:
            raise CorruptObject(f"{self._files.where(_done(trial_id, level))}: missing or damaged")
        return record

    def _write(self, name: str, tensors: "Tensors") -> str:
        content = encode(tensors)
        self._files.put(name, content)
        return hashlib.sha256(content).hexdigest()

    def _read(self, name: str, checksum: str | None) -> "Tensors":
        cached = self._cache.get(checksum) if self._cache and checksum else None
        content = self._verified(name, checksum) if cached is None else cached
        try:
            return decode(content)
        except CorruptObject as error:
            raise CorruptObject(f"{self._files.where(name)}: {error}") from error

    def _verified(self, name: str, checksum: str | None) -> bytes:
        """Read an object. When it does not match the level's record, the level is no longer committed."""
        if checksum is None:
            raise CorruptObject(f"{self._files.where(name)}: the level's record does not name it")
        content = b""
        with contextlib.suppress(CorruptObject):
            content = self._files.find(name) or b""
        if hashlib.sha256(content).hexdigest() != checksum:
            self._uncommit(f"{name.rpartition('/')[0]}/done", checksum)
            raise CorruptObject(
                f"{self._files.where(name)}: missing, or its checksum differs from the one in the level's "
                "record; the next raysweep run trains the level again"
            )
        if self._cache:
            self._cache.put(checksum, content)
        return content

    def _uncommit(self, done: str, checksum: str) -> None:
        """Remove a level's record, unless another driver has meanwhile committed the level anew."""
        with contextlib.suppress(OSError):  # a read-only root must remain readable
            record = _record(self._content(done))
            if record and checksum in record.objects().values():
                self._files.delete(done)


def _record(content: bytes | None) -> LevelRecord | None:
    try:
        return None if content is None else LevelRecord.from_json(content)
    except CorruptObject:
        return None


def _done(trial_id: str, level: int) -> str:
    return f"trials/{trial_id}/level_{level:03d}/done"


def _system(trial_id: str, level: int) -> str:
    return f"trials/{trial_id}/level_{level:03d}/system"


def _mask(trial_id: str, level: int) -> str:
    return f"trials/{trial_id}/level_{level:03d}/mask.safetensors"


def _step(trial_id: str, level: int, kind: str, step: int) -> str:
    return f"trials/{trial_id}/level_{level:03d}/{kind}_{step:08d}.safetensors"


def _resume(trial_id: str) -> str:
    return f"trials/{trial_id}/resume"


def _starts(trial_id: str) -> str:
    return f"trials/{trial_id}/starts"
