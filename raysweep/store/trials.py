"""The trial store: trajectories as safetensors, and one record per finished level.

trials/<trial_id>/config.json                        what determines the trial's numbers
trials/<trial_id>/level_000/step_00000660.safetensors
trials/<trial_id>/level_000/done                     metrics, checksums, environment: the commit
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from raysweep.store.files import CorruptObject, Files

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Metric:
    """One evaluation while training; `time` is in seconds since 1970."""

    step: int
    epoch: float
    split: str
    loss: float
    error: float
    time: float


@dataclass(frozen=True)
class LevelRecord:
    """A finished level: its evaluations, the SHA-256 of each checkpoint by step, and where it ran."""

    steps: int
    seconds: float
    metrics: tuple[Metric, ...]
    checkpoints: dict[int, str]
    environment: dict[str, str]


class TrialStore:
    """Checkpoints and level records by trial id."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def write_config(self, trial_id: str, config: dict[str, Any]) -> None:
        self._files.put(
            f"trials/{trial_id}/config.json", json.dumps(config, indent=1, sort_keys=True).encode()
        )

    def write_checkpoint(self, trial_id: str, level: int, step: int, state: "dict[str, torch.Tensor]") -> str:
        """Write a state and return its SHA-256."""
        from safetensors.torch import save

        content = save({name: tensor.detach().cpu().contiguous() for name, tensor in state.items()})
        self._files.put(_checkpoint(trial_id, level, step), content)
        return hashlib.sha256(content).hexdigest()

    def read_checkpoint(self, trial_id: str, level: int, step: int) -> "dict[str, torch.Tensor]":
        """Read a state; raises `CorruptObject` when it is not what the level's record says."""
        from safetensors.torch import load

        record = self.record(trial_id, level)
        name = _checkpoint(trial_id, level, step)
        content = self._files.get(name)
        if record is None or hashlib.sha256(content).hexdigest() != record.checkpoints.get(step):
            raise CorruptObject(f"{self._files.path(name)}: the checksum differs from the level's record")
        return load(content)

    def commit(self, trial_id: str, level: int, record: LevelRecord) -> None:
        """Declare a level finished; its checkpoints must have been written before."""
        content = json.dumps(asdict(record), sort_keys=True).encode()
        self._files.put_checked(_done(trial_id, level), content)

    def record(self, trial_id: str, level: int) -> LevelRecord | None:
        """Return the record of a finished level, or None when it is unfinished or damaged."""
        if not self._files.exists(_done(trial_id, level)):
            return None
        try:
            raw = json.loads(self._files.get_checked(_done(trial_id, level)))
        except CorruptObject:
            return None
        raw["metrics"] = tuple(Metric(**metric) for metric in raw["metrics"])
        raw["checkpoints"] = {int(step): checksum for step, checksum in raw["checkpoints"].items()}
        return LevelRecord(**raw)


def _done(trial_id: str, level: int) -> str:
    return f"trials/{trial_id}/level_{level:03d}/done"


def _checkpoint(trial_id: str, level: int, step: int) -> str:
    return f"trials/{trial_id}/level_{level:03d}/step_{step:08d}.safetensors"
