"""The trial store: trajectories as safetensors, and one record per finished level.

trials/<trial_id>/config.json                           what determines the trial's numbers
trials/<trial_id>/level_000/step_00000660.safetensors   a checkpoint
trials/<trial_id>/level_000/optimiser_00000110.safetensors
trials/<trial_id>/level_003/mask.safetensors            the weights that are kept, a bit each
trials/<trial_id>/level_000/done                        metrics, checksums, environment: the commit
trials/<trial_id>/resume                                where an unfinished trial goes on
trials/<trial_id>/starts                                the nodes of the processes that took it up there
"""

import contextlib
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from raysweep.store.files import CorruptObject, Files
from raysweep.store.node_cache import NodeCache

if TYPE_CHECKING:
    import torch

    Tensors = dict[str, torch.Tensor]

Kind = TypeVar("Kind")


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
    """A level: its evaluations, the SHA-256 of each object by step, and where it ran.

    `sparsity` is the share of the maskable weights that its mask removes; `steps` the step of its end.
    """

    steps: int
    seconds: float = 0.0
    sparsity: float = 0.0
    metrics: tuple[Metric, ...] = ()
    checkpoints: dict[int, str] = field(default_factory=dict)
    optimisers: dict[int, str] = field(default_factory=dict)
    mask: str | None = None
    environment: dict[str, str] = field(default_factory=dict)

    def has(self, checkpoints: Iterable[int], optimisers: Iterable[int]) -> bool:
        """Whether these checkpoints and optimiser states are stored."""
        return set(checkpoints) <= set(self.checkpoints) and set(optimisers) <= set(self.optimisers)

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str | bytes) -> "LevelRecord":
        """Read a record; raises `CorruptObject` for a text that is none."""
        return _read(_RECORD, text)


@dataclass(frozen=True)
class ResumePoint:
    """A trial in the middle of a level: what is recorded so far, its weights and its optimiser's state."""

    level: int
    step: int
    record: LevelRecord
    state: "Tensors"
    optimiser: "Tensors"


@dataclass(frozen=True)
class Starts:
    """Where a trial stood, and the nodes of the processes that took it up there."""

    progress: list[Any]
    nodes: list[str]


_RECORD, _STARTS = TypeAdapter(LevelRecord), TypeAdapter(Starts)


class TrialStore:
    """Checkpoints, masks and level records by trial id."""

    def __init__(self, files: Files, cache: NodeCache | None = None) -> None:
        """`cache` keeps what is read on this node."""
        self._files, self._cache = files, cache

    def write_config(self, trial_id: str, config: dict[str, Any]) -> None:
        content = json.dumps(config, indent=1, sort_keys=True).encode()
        name = f"trials/{trial_id}/config.json"
        if not self._files.holds(name, content):
            self._files.put(name, content)

    def has_config(self, trial_id: str) -> bool:
        """Whether the trial's configuration is there and is its own."""
        try:
            content = self._files.find(f"trials/{trial_id}/config.json")
            return _json(content or b"").get("trial_id") == trial_id
        except CorruptObject:
            return False

    def write_checkpoint(self, trial_id: str, level: int, step: int, state: "Tensors") -> str:
        """Write a state and return its SHA-256."""
        return self._write(_step(trial_id, level, "step", step), state)

    def read_checkpoint(self, trial_id: str, level: int, step: int) -> "Tensors":
        """Read a state; raises `CorruptObject` when it is not what the level's record says."""
        checksum = self._committed(trial_id, level).checkpoints.get(step)
        return self._read(_step(trial_id, level, "step", step), checksum)

    def write_optimiser(self, trial_id: str, level: int, step: int, state: "Tensors") -> str:
        return self._write(_step(trial_id, level, "optimiser", step), state)

    def read_optimiser(self, trial_id: str, level: int, step: int) -> "Tensors":
        checksum = self._committed(trial_id, level).optimisers.get(step)
        return self._read(_step(trial_id, level, "optimiser", step), checksum)

    def write_mask(self, trial_id: str, level: int, masks: "Tensors") -> str:
        """Write masks, eight weights a byte, and return the SHA-256."""
        return self._write(_mask(trial_id, level), _packed(masks))

    def read_mask(self, trial_id: str, level: int) -> "Tensors":
        """Read the masks of a level: True where a weight is kept."""
        return _unpacked(self._read(_mask(trial_id, level), self._committed(trial_id, level).mask))

    def commit(self, trial_id: str, level: int, record: LevelRecord) -> None:
        """Declare a level finished; its objects must have been written before."""
        self._files.put_checked(_done(trial_id, level), record.to_json().encode())

    def record(self, trial_id: str, level: int) -> LevelRecord | None:
        """Return the record of a finished level, or None when it is unfinished or damaged."""
        try:
            content = self._files.find_checked(_done(trial_id, level))
            return None if content is None else LevelRecord.from_json(content)
        except CorruptObject:
            return None

    def write_resume(self, trial_id: str, point: ResumePoint) -> None:
        """Replace the trial's resume point, as one object."""
        from safetensors.torch import save

        tensors = {f"state/{name}": tensor for name, tensor in point.state.items()}
        tensors |= {f"optimiser/{name}": tensor for name, tensor in point.optimiser.items()}
        where = {"level": str(point.level), "step": str(point.step), "record": point.record.to_json()}
        self._files.put_checked(_resume(trial_id), save(_plain(tensors), metadata=where))

    def read_resume(self, trial_id: str) -> ResumePoint | None:
        """Return where the trial goes on, or None when nothing (undamaged) says so."""
        try:
            content = self._files.find_checked(_resume(trial_id))
            return None if content is None else _resume_point(content)
        except CorruptObject:
            return None

    def note_start(self, trial_id: str, progress: list[Any], node: str) -> list[str]:
        """Note that a process goes on from here, and return the nodes of those that did before it."""
        before = self._starts(trial_id)
        nodes = before.nodes if before and before.progress == progress else []
        starts = Starts(progress, [*nodes, node])
        self._files.put_checked(_starts(trial_id), json.dumps(asdict(starts)).encode())
        return nodes

    def has_starts(self, trial_id: str) -> bool:
        """Whether `note_start` has noted something that can be read."""
        return self._starts(trial_id) is not None

    def _starts(self, trial_id: str) -> Starts | None:
        try:
            content = self._files.find_checked(_starts(trial_id))
            return None if content is None else _read(_STARTS, content)
        except CorruptObject:
            return None

    def drop_resume(self, trial_id: str) -> None:
        """Remove what only an unfinished trial needs."""
        self._files.delete(_resume(trial_id))
        self._files.delete(_starts(trial_id))

    def _committed(self, trial_id: str, level: int) -> LevelRecord:
        record = self.record(trial_id, level)
        if record is None:
            raise CorruptObject(f"{self._files.where(_done(trial_id, level))}: missing or damaged")
        return record

    def _write(self, name: str, tensors: "Tensors") -> str:
        from safetensors.torch import save

        content = save(_plain(tensors))
        self._files.put(name, content)
        return hashlib.sha256(content).hexdigest()

    def _read(self, name: str, checksum: str | None) -> "Tensors":
        from safetensors import SafetensorError
        from safetensors.torch import load

        kept = self._cache.get(checksum) if self._cache and checksum else None
        content = self._whole(name, checksum) if kept is None else kept
        try:
            return load(content)
        except SafetensorError as error:
            raise CorruptObject(f"{self._files.where(name)}: {error}") from error

    def _whole(self, name: str, checksum: str | None) -> bytes:
        """Read an object; one that is not what the record says takes its level's commit with it."""
        if checksum is None:
            raise CorruptObject(f"{self._files.where(name)}: its level's record does not name it")
        content = b""
        with contextlib.suppress(CorruptObject):
            content = self._files.find(name) or b""
        if hashlib.sha256(content).hexdigest() != checksum:
            with contextlib.suppress(OSError):  # a root that can only be read is read on
                self._files.delete(f"{name.rpartition('/')[0]}/done")
            raise CorruptObject(
                f"{self._files.where(name)}: missing, or other than its level's record says (its checksum "
                "differs); the next raysweep run trains the level again"
            )
        if self._cache:
            self._cache.put(checksum, content)
        return content


def _resume_point(content: bytes) -> ResumePoint:
    """Raises `CorruptObject` for what is none."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    parts: dict[str, Tensors] = {"state": {}, "optimiser": {}}
    try:
        for key, tensor in load(content).items():
            part, _, name = key.partition("/")
            parts[part][name] = tensor
        size = int.from_bytes(content[:8], "little")  # safetensors: a length, a JSON header, the data
        where = _json(content[8 : 8 + size])["__metadata__"]
        level, step, record = int(where["level"]), int(where["step"]), LevelRecord.from_json(where["record"])
    except (SafetensorError, ValueError, LookupError) as error:
        raise CorruptObject(f"not a resume point: {error}") from error
    return ResumePoint(level, step, record, parts["state"], parts["optimiser"])


def _json(text: str | bytes) -> dict[str, Any]:
    """Raises `CorruptObject` for a text that is no JSON object."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CorruptObject(f"not JSON: {error}") from error
    if not isinstance(found, dict):
        raise CorruptObject("not a JSON object")
    return found


def _read(kind: TypeAdapter[Kind], text: str | bytes) -> Kind:
    """Read an object of a dataclass; raises `CorruptObject` for a text that is none."""
    try:
        return kind.validate_python(_json(text))
    except ValidationError as error:
        raise CorruptObject(str(error)) from error


def _plain(tensors: "Tensors") -> "Tensors":
    """Return tensors that safetensors takes: a tied one is written under all its names, so that what is read
    back is a whole state dict."""
    plain: Tensors = {}
    taken: set[int] = set()
    for name, tensor in tensors.items():
        own = tensor.detach().cpu().contiguous()
        memory = own.untyped_storage().data_ptr()
        plain[name] = own.clone() if memory in taken else own
        taken.add(memory)
    return plain


def _packed(masks: "Tensors") -> "Tensors":
    import numpy as np
    import torch

    packed = {}
    for name, mask in masks.items():
        packed[f"bits/{name}"] = torch.from_numpy(np.packbits(mask.cpu().numpy()))
        packed[f"shape/{name}"] = torch.tensor(mask.shape)
    return packed


def _unpacked(packed: "Tensors") -> "Tensors":
    import numpy as np
    import torch

    masks = {}
    for key in [key for key in packed if key.startswith("bits/")]:
        name = key.removeprefix("bits/")
        shape = torch.Size(packed[f"shape/{name}"].tolist())
        if not 0 <= shape.numel() <= 8 * packed[key].numel():  # before memory is taken
            raise CorruptObject(
                f"a mask of {packed[key].numel()} bytes says that its shape is {tuple(shape)}"
            )
        bits = np.unpackbits(packed[key].numpy(), count=shape.numel())
        masks[name] = torch.from_numpy(bits.astype(bool)).view(shape)
    return masks


def _done(trial_id: str, level: int) -> str:
    return f"trials/{trial_id}/level_{level:03d}/done"


def _mask(trial_id: str, level: int) -> str:
    return f"trials/{trial_id}/level_{level:03d}/mask.safetensors"


def _resume(trial_id: str) -> str:
    return f"trials/{trial_id}/resume"


def _starts(trial_id: str) -> str:
    return f"trials/{trial_id}/starts"


def _step(trial_id: str, level: int, what: str, step: int) -> str:
    return f"trials/{trial_id}/level_{level:03d}/{what}_{step:08d}.safetensors"
