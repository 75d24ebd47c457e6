"""The sections of a sweep file."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from raysweep.data.arrays import DATASETS
from raysweep.models.names import INITS, MODELS, NORMS
from raysweep.training.names import SCHEDULES

Seed = Annotated[int, Field(ge=0)] | Literal["replicate"]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Training(Strict):
    """One configuration of `train`; in the file any of these keys may be a list, which is then swept."""

    dataset: str
    model: str = "mlp"
    width: int = Field(gt=0)
    depth: int = Field(default=3, gt=0, description="hidden layers")
    norm: str = "none"
    init: str = "kaiming_normal"
    epochs: int = Field(gt=0)
    batch_size: int = Field(default=128, gt=0)
    learning_rate: float = Field(default=0.1, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    weight_decay: float = Field(default=1e-4, ge=0)
    schedule: str = "one_cycle"
    init_seed: Seed = "replicate"
    data_seed: Seed = "replicate"
    split_seed: int = Field(default=0, ge=0)
    threads: int = Field(default=1, gt=0)
    device: Literal["cpu", "cuda"] = "cpu"

    @field_validator("dataset", "model", "norm", "init", "schedule")
    @classmethod
    def _known(cls, value: str, info: Any) -> str:
        valid = {"dataset": DATASETS, "model": MODELS, "norm": NORMS, "init": INITS, "schedule": SCHEDULES}
        names = tuple(valid[info.field_name])
        if value not in names:
            raise ValueError(f"valid choices: {', '.join(names)}")
        return value


class TrainRest(Strict):
    """The keys of `train` that are not swept: they change no number of a trial."""

    replicates: Annotated[int, Field(gt=0)] | list[Annotated[int, Field(ge=0)]] = 2
    checkpoints: list[Annotated[int, Field(ge=0)]] = Field(default=[], description="epochs; 0 and end always")
    data_root: str | None = None
    download: bool = False

    def replicate_numbers(self) -> list[int]:
        given = self.replicates
        return list(range(given)) if isinstance(given, int) else sorted(set(given))


class Align(Strict):
    methods: list[Literal["weight_matching"]] = ["weight_matching"]
    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=1, gt=0)


class Compare(Strict):
    kinds: list[Literal["unaligned", "direct", "via"]] = ["unaligned", "direct", "via"]
    splits: list[Literal["train", "test"]] = ["train", "test"]
    alphas: int = Field(default=25, ge=3)
    subdivisions: int = Field(default=12, ge=6, multiple_of=6)
    train_examples: int = Field(default=10_000, gt=0)

    @field_validator("alphas")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("must be odd, so that the midpoint is on the grid")
        return value


class Worker(Strict):
    cpu: float = Field(default=1, gt=0)
    gpu: float = Field(default=0, ge=0)


class Resources(Strict):
    trial: Worker = Worker()
    align: Worker = Worker()
    workers: int | None = Field(default=None, gt=0, description="at most so many at once")
    tile: int = Field(default=12, gt=0, description="comparisons per tile")


class Tracking(Strict):
    enabled: bool = True


class Sections(Strict):
    """A whole sweep file, but for the swept keys of `train`."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
    train: TrainRest = TrainRest()
    align: Align = Align()
    compare: Compare = Compare()
    analyses: list[Literal["width_scaling"]] = []
    resources: Resources = Resources()
    tracking: Tracking = Tracking()
