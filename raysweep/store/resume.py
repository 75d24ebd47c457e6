"""The resume point of an unfinished trial, as one object."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from raysweep.errors import CorruptObject
from raysweep.store.records import LevelRecord
from raysweep.store.tensors import decode, encode, metadata_of

if TYPE_CHECKING:
    from raysweep.store.tensors import Tensors


@dataclass(frozen=True)
class ResumePoint:
    """A trial in the middle of a level: the level's record so far, the weights and the optimiser's state."""

    level: int
    step: int
    record: LevelRecord
    state: "Tensors"
    optimiser: "Tensors"

    def to_bytes(self) -> bytes:
        tensors = {f"state/{name}": tensor for name, tensor in self.state.items()}
        tensors |= {f"optimiser/{name}": tensor for name, tensor in self.optimiser.items()}
        metadata = {"level": str(self.level), "step": str(self.step), "record": self.record.to_json()}
        return encode(tensors, metadata)

    @staticmethod
    def from_bytes(content: bytes) -> "ResumePoint":
        """Read a resume point. Raises `CorruptObject` when the content is not one."""
        parts: dict[str, Tensors] = {"state": {}, "optimiser": {}}
        try:
            for key, tensor in decode(content).items():
                part, _, name = key.partition("/")
                parts[part][name] = tensor
            metadata = metadata_of(content)
            level, step = int(metadata["level"]), int(metadata["step"])
            record = LevelRecord.from_json(metadata["record"])
        except (CorruptObject, ValueError, LookupError) as error:
            raise CorruptObject(f"not a resume point: {error}") from error
        return ResumePoint(level, step, record, parts["state"], parts["optimiser"])
