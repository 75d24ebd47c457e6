"""Records of the trial store, kept as JSON: the finished levels of a trial, and its processes' starts."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from raysweep.errors import CorruptObject

Record = TypeVar("Record")
REPLACED = "replaced"  # in the environment of a level: the provenance of an earlier training with other bits


@dataclass(frozen=True)
class Metric:
    """One evaluation during training; `time` is in seconds since 1970."""

    step: int
    epoch: float
    split: str
    loss: float
    error: float
    time: float


@dataclass(frozen=True)
class LevelRecord:
    """A level of a trial: its evaluations, the SHA-256 of each of its objects, and where it ran.

    `steps` is the optimiser step at which the level ends, and `seconds` the time that it took. `sparsity` is
    the share of the maskable weights that its mask removes. `checkpoints` and `optimisers` map a step to the
    SHA-256 of the object that is stored for it. `inputs` are the objects of other levels from which this one
    started, and the permutations of its masks, as in `store.inputs`; levels of earlier versions do not say.
    Of a record that was read, `sha256` is that of its text.
    """

    steps: int
    seconds: float = 0.0
    sparsity: float = 0.0
    metrics: tuple[Metric, ...] = ()
    checkpoints: dict[int, str] = field(default_factory=dict)
    optimisers: dict[int, str] = field(default_factory=dict)
    mask: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    inputs: tuple[str, ...] = ()
    sha256: str = field(default="", compare=False, repr=False)

    def has(self, checkpoints: Iterable[int], optimisers: Iterable[int]) -> bool:
        """Whether the weights and the optimiser states of these steps are stored."""
        return set(checkpoints) <= set(self.checkpoints) and set(optimisers) <= set(self.optimisers)

    def contradicts(self, other: "LevelRecord") -> bool:
        """Whether an object that both have differs in its bits: then they are of two trainings."""
        mine, others = self.objects(), other.objects()
        return any(mine[name] != others[name] for name in mine.keys() & others.keys())

    def objects(self) -> dict[tuple[str, int], str]:
        """Return the checksums of the level's objects by their kind and step."""
        found = {("weights", step): checksum for step, checksum in self.checkpoints.items()}
        found |= {("optimiser", step): checksum for step, checksum in self.optimisers.items()}
        return found | ({("mask", 0): self.mask} if self.mask else {})

    def to_json(self) -> str:
        found = asdict(self)
        del found["sha256"]
        return json.dumps(found, sort_keys=True)

    @staticmethod
    def from_json(text: str | bytes) -> "LevelRecord":
        """Read a record. Raises `CorruptObject` when the text is not one."""
        content = text.encode() if isinstance(text, str) else text
        return replace(_read(_LEVEL_RECORD, content), sha256=hashlib.sha256(content).hexdigest())


@dataclass(frozen=True)
class Starts:
    """The progress of a trial, and the nodes of the processes that have started from there.

    The progress begins with the run, and `attempts` counts all starts of this run, whatever their progress.
    """

    progress: list[Any]
    nodes: list[str]
    attempts: int = 0

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str | bytes) -> "Starts":
        """Read a note of starts. Raises `CorruptObject` when the text is not one."""
        return _read(_STARTS, text)


_LEVEL_RECORD, _STARTS = TypeAdapter(LevelRecord), TypeAdapter(Starts)


def json_object(text: str | bytes) -> dict[str, Any]:
    """Read a JSON object. Raises `CorruptObject` when the text is not one."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CorruptObject(f"not JSON: {error}") from error
    if not isinstance(found, dict):
        raise CorruptObject("not a JSON object")
    return found


def _read(adapter: TypeAdapter[Record], text: str | bytes) -> Record:
    try:
        return adapter.validate_python(json_object(text))
    except ValidationError as error:
        raise CorruptObject(str(error)) from error
