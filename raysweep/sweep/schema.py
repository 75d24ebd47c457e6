"""The sections of a sweep file."""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from raysweep.choices import choose
from raysweep.data.names import AUGMENTATIONS, DATASETS, SCALINGS
from raysweep.models.names import DEPTH_MODELS, INITS, MODELS, NORMS
from raysweep.sweep.names import (
    ACROSS,
    ANALYSES,
    BRANCHES,
    HYBRIDS,
    KERNELS,
    KINDS,
    METHODS,
    ORDERS,
    PERMUTATIONS,
    SCOPES,
    SIMILARITIES,
    TENSORS,
)
from raysweep.training.moment import Moment
from raysweep.training.names import OPTIMISERS, PRECISIONS, SCHEDULES

Seed = Annotated[int, Field(ge=0)] | Literal["replicate"]
Time = Annotated[
    Moment, BeforeValidator(Moment.parse), PlainSerializer(str), WithJsonSchema({"type": "moment"})
]
MLP_DEPTH = 3
Share = Annotated[float, Field(gt=0, le=1)]
Device = Literal["cpu", "cuda"]
AtLeastTwo = Annotated[int, Field(ge=2)]

CHOICES: dict[str, tuple[str, ...]] = {
    "dataset": tuple(DATASETS),
    "scaling": SCALINGS,
    "augment": AUGMENTATIONS,
    "model": MODELS,
    "norm": NORMS,
    "init": INITS,
    "optimiser": OPTIMISERS,
    "schedule": SCHEDULES,
    "precision": PRECISIONS,
}


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


class Training(Strict):
    """One configuration of `train`; in the file any of these keys may be a list, which is then swept."""

    dataset: str = Field(description="the digits come with scikit-learn; the others are files, see below")
    split_seed: int = Field(default=0, ge=0, description="of the test set, for data without an official one")
    half: Literal[0, 1, "replicate"] | None = Field(default=None, description="one of two disjoint halves")
    fraction: Share | None = Field(default=None, description="share of the training examples")
    examples: tuple[int, int] | None = Field(default=None, description="[start, stop) of the shuffled ones")
    subset_seed: int = Field(default=0, ge=0, description="of half, fraction and examples")
    pixel_seed: int | None = Field(default=None, description="of one permutation of the pixels of all images")
    scaling: str = Field(default="unit", description="of pixels: to [0, 1], or to mean 0 and deviation 1")
    augment: str = Field(default="none", description="mirrored at random, and shifted by up to 4 pixels")
    model: str = Field(default="mlp", description="or `module:function`, a network of your own")
    width: int = Field(
        gt=0,
        le=100_000,
        description="units of a hidden layer of the mlp; else channels of the first stage, with which all "
        "others scale (standard: LeNet-5 6, VGG 64, ResNet 16)",
    )
    depth: int | None = Field(
        default=None, gt=0, le=1000, description="hidden layers of the mlp, 3 unless given"
    )
    norm: str = Field(
        default="none", description="LayerNorm over the channels of each pixel, as in the paper"
    )
    init: str = Field(default="kaiming_normal", description="`own`: as the constructor leaves it")
    epochs: int = Field(ge=0, le=1_000_000, description="needed, but with `imports`")
    batch_size: int = Field(default=128, gt=0)
    drop_last: bool = Field(default=False, description="whether a last, smaller batch is left out")
    optimiser: str = "sgd"
    learning_rate: float = Field(default=0.1, gt=0, description="the largest of the schedule")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="of SGD; beta1 of AdamW")
    nesterov: bool = Field(default=False, description="of SGD with momentum")
    weight_decay: float = Field(default=1e-4, ge=0, description="in every step, of all weights")
    schedule: str = Field(default="one_cycle", description="of the learning rate, by step")
    milestones: tuple[Time, ...] = Field(default=(), description="where the schedule of this name drops")
    gamma: float = Field(default=0.1, gt=0, description="by which factor it drops")
    warmup: Time = Field(default=Moment(0), description="for how long the rate first rises from 0")
    precision: str = Field(default="float32", description="bfloat16 by autocast")
    channels_last: bool = Field(default=False, description="how images lie in memory")
    init_seed: Seed = Field(default="replicate", description="of the initialisation")
    data_seed: Seed = Field(default="replicate", description="of the order of examples and the augmentation")
    spawn_at: Time | None = Field(default=None, description="where replicates leave a common trunk")
    spawn_replicate: int = Field(default=0, ge=0, description="the replicate that is the trunk")
    threads: int = Field(default=1, gt=0, description="of a trial; they change sums, and so the id")
    device: Device = Field(default="cpu", description="where it trains; cuda needs `resources.trial.gpu`")

    @field_validator(*CHOICES)
    @classmethod
    def _known(cls, value: str, info: Any) -> str:
        names = CHOICES[info.field_name]
        if value in names or (info.field_name == "model" and ":" in value):
            return value
        own = ", or module:function for a network of your own" if info.field_name == "model" else ""
        raise ValueError(f"valid choices: {', '.join(names)}{own}")

    @model_validator(mode="before")
    @classmethod
    def _depth(cls, given: Any) -> Any:
        """Only the mlp has a depth; its default is resolved here, so that 3 and nothing are the same."""
        if (
            isinstance(given, dict)
            and given.get("depth") is None
            and given.get("model", "mlp") in DEPTH_MODELS
        ):
            return {**given, "depth": MLP_DEPTH}
        return given

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.depth is not None and self.model not in DEPTH_MODELS and ":" not in self.model:
            raise ValueError(f"depth: {self.model} has none; only {', '.join(DEPTH_MODELS)} reads it")
        if sum(part is not None for part in (self.half, self.fraction, self.examples)) > 1:
            raise ValueError("half, fraction and examples exclude one another")
        if self.examples is not None and not 0 <= self.examples[0] < self.examples[1]:
            raise ValueError(f"examples = {list(self.examples)}: expected 0 <= start < stop")
        if bool(self.milestones) != (self.schedule == "milestones"):
            raise ValueError("milestones: needed by the schedule milestones, and read by no other")
        if self.nesterov and (self.optimiser != "sgd" or not self.momentum):
            raise ValueError("nesterov: only SGD with momentum has it")
        return self


class Every(Strict):
    every: Time = Field(description="checkpoints at equal distances")


class Geometric(Strict):
    first: Time = Field(default=Moment(1, "st"), description="the first of a geometric series")
    factor: float = Field(gt=1, description="from one moment to the next")


class TrainRest(Strict):
    """The keys of `train` that are not swept: they change no number of a trial."""

    replicates: Annotated[int, Field(gt=0, le=100_000)] | list[Annotated[int, Field(ge=0)]] = Field(
        default=2, description="how many networks of each configuration, or which numbers"
    )
    checkpoints: Every | Geometric | list[Time] = Field(
        default=[], description="besides the start and the end; moments past the end are left out"
    )
    imports: list[str] = Field(default=[], description="files of your own trained networks, a replicate each")
    data_root: str | None = Field(default=None, description="folder of the data, as torchvision lays it out")
    download: bool = Field(default=False, description="fetch what is missing")

    @field_validator("checkpoints", mode="before")
    @classmethod
    def _form(cls, value: Any) -> Any:
        """Choose the form by its keys, so that an error speaks of that form alone."""
        if isinstance(value, dict):
            return (Geometric if "factor" in value or "first" in value else Every).model_validate(value)
        return value

    def replicate_numbers(self) -> list[int]:
        given = self.replicates
        return list(range(given)) if isinstance(given, int) else sorted(set(given))


class Transport(Strict):
    """Whose masks are tried on whose rewind points, and under which permutations of the mask."""

    partners: Literal["next", "all"] = Field(default="next", description="whose masks each network tries")
    permutations: list[Literal[PERMUTATIONS]] = Field(  # type: ignore[valid-type]
        default=list(PERMUTATIONS),
        description="of the mask, by the first of `align.methods`: found on dense networks, or at the level",
    )


class Prune(Strict):
    """Iterative magnitude pruning: every level removes a fraction of the weights that are left."""

    levels: int = Field(gt=0, le=1000, description="pruned ones; level 0 is the dense trial")
    fraction: float = Field(default=0.2, gt=0, lt=1, description="of the weights left, removed a level")
    scope: Literal[SCOPES] = Field(  # type: ignore[valid-type]
        default="global", description="magnitudes are compared in the network, or within each layer"
    )
    exclude: list[str] = Field(default=[], description="layers that stay dense; `output` is the last one")
    rewind: Time = Field(default=Moment(0), description="where each level starts again")
    optimiser: Literal["fresh", "kept"] = Field(default="fresh", description="state at the rewind point")
    data_order: Literal["same", "new"] = Field(
        default="same", description="after rewinding: the dense run's, or a new one at each level"
    )
    branches: list[Literal[BRANCHES]] = Field(  # type: ignore[valid-type]
        default=[], description="trials beside a chain, see below"
    )
    transport: Transport = Transport()

    @property
    def keeps_optimiser(self) -> bool:
        return choose("optimiser at the rewind point", self.optimiser, {"fresh": False, "kept": True})

    @property
    def renews_order(self) -> bool:
        return choose("data_order", self.data_order, {"same": False, "new": True})


class WeightMatching(Strict):
    kernel: Literal[KERNELS] = Field(  # type: ignore[valid-type]
        default="linear", description="similarity of two units' weights"
    )
    order: Literal[ORDERS] = Field(  # type: ignore[valid-type]
        default="random", description="of the layers within a round of coordinate ascent"
    )
    biases: bool = Field(default=True, description="whether vectors are matched too")
    restarts: int = Field(default=1, gt=0, description="ascents of a pair; the best objective is kept")


class ActivationMatching(Strict):
    tensor: Literal[TENSORS] = Field(  # type: ignore[valid-type]
        default="last",
        description="which value of a unit: before norm and nonlinearity, after them, or all, added up",
    )
    similarity: Literal[SIMILARITIES] = "correlation"  # type: ignore[valid-type]
    examples: int = Field(default=10_000, gt=0, description="training examples, without augmentation")
    pixels: int = Field(default=1, gt=0, description="places per example at which a channel is looked at")


class Align(Strict):
    methods: list[Literal[METHODS]] = Field(  # type: ignore[valid-type]
        default=["weight_matching"], description="of Ainsworth et al. 2023, weights on the true objective"
    )
    weight_matching: WeightMatching = WeightMatching()
    activation_matching: ActivationMatching = ActivationMatching()
    seed: int = Field(default=0, ge=0, description="of random orders and restarts")
    threads: int = Field(default=1, gt=0, description="of an align worker")


class Trajectory(Strict):
    """Permutations found at some checkpoints and applied at others; None stands for all checkpoints."""

    permutations: list[Time] | None = Field(default=None, description="where permutations are found")
    points: list[Time] | None = Field(default=None, description="where they are applied")
    stacks: list[AtLeastTwo] = Field(
        default=[], description="so many last checkpoints aligned at once, by weight matching alone"
    )
    hybrids: list[Literal[HYBRIDS]] = Field(  # type: ignore[valid-type]
        default=[], description="the early permutation in some layers, the last one in the rest"
    )
    early: Time | None = Field(default=None, description="the early permutation of hybrids; else the first")


class Compare(Strict):
    kinds: list[Literal[KINDS]] = Field(  # type: ignore[valid-type]
        default=["unaligned", "direct", "via"], description="of barriers, see below"
    )
    joint_networks: list[AtLeastTwo] = Field(default=[3], description="aligned at once")
    mean_networks: list[AtLeastTwo] = Field(default=[], description="whose mean is evaluated")
    path_networks: list[Annotated[int, Field(ge=3)]] = Field(default=[3, 4, 5], description="of a path")
    paths: int = Field(default=24, gt=0, description="of each length, and as many cycles, at most")
    trajectory: Trajectory | None = Field(default=None, description="comparisons along training")
    across: list[Literal[ACROSS]] = Field(  # type: ignore[valid-type]
        default=[], description="networks of several widths or tasks, beside those of one configuration"
    )
    statistics: list[Literal["kept", "recomputed"]] = Field(
        default=["kept", "recomputed"],
        description="of networks with BatchNorm, or InstanceNorm that keeps them: mixed like weights, or "
        "recomputed at every point, the networks themselves included; other networks have none",
    )
    splits: list[Literal["train", "test"]] = Field(
        default=["train", "test"], description="on which networks are evaluated"
    )
    alphas: int = Field(
        default=25, ge=3, le=10_001, description="points of the line between two networks, an odd number"
    )
    subdivisions: int = Field(
        default=12, ge=6, le=600, multiple_of=6, description="of an edge of the triangle of three networks"
    )
    train_examples: int = Field(default=10_000, gt=0, description="the first so many, of the split train")
    level_permutations: list[Literal["dense", "level"]] = Field(
        default=["dense", "level"], description="of pruned networks: found at level 0, or at the same level"
    )
    level_points: list[Literal["rewind", "end"]] = Field(
        default=["rewind", "end"], description="at which moments pruned networks are compared"
    )
    device: Device = Field(default="cpu", description="of barriers; cuda needs `resources.align.gpu`")

    @field_validator("alphas")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("must be odd, so that the midpoint is on the grid")
        return value


class Worker(Strict):
    cpu: float = Field(default=1, gt=0, description="of one process")
    gpu: float = Field(default=0, ge=0, description="of one process, 0.25 if four share one")


class Resources(Strict):
    trial: Worker = Worker()
    align: Worker = Worker()
    workers: int | None = Field(
        default=None, gt=0, description="of each kind at once at most; all that fit unless given"
    )
    tile_seconds: float = Field(default=2, gt=0, description="of work that an align worker is given at once")
    cache_mb: int = Field(default=1000, ge=0, description="of checkpoints and units' values per align worker")
    disk_cache_mb: int = Field(
        default=20_000,
        ge=0,
        description="of what s3:// or gs:// gave; it lies in `RAYSWEEP_CACHE` or a node's temporary folder",
    )
    unit_seconds: float = Field(
        default=3600, gt=0, description="after which an alignment or barrier hangs and is killed"
    )
    resume_seconds: float = Field(default=30, ge=0, description="time between two resume points of a trial")


class Tracking(Strict):
    enabled: bool = Field(default=True, description="whether MLflow is told")


class Sections(Strict):
    """A whole sweep file, but for the swept keys of `train`."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", description="also of the folder `sweeps/NAME` under the root"
    )
    train: TrainRest = TrainRest()
    prune: Prune | None = None
    align: Align = Align()
    compare: Compare = Compare()
    analyses: list[Literal[ANALYSES]] = Field(  # type: ignore[valid-type]
        default=[], description="run at the end: each prints a table and saves figures"
    )
    resources: Resources = Resources()
    tracking: Tracking = Tracking()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.align.threads > max(1, self.resources.align.cpu):
            raise ValueError(
                f"align.threads = {self.align.threads} is more than resources.align.cpu = "
                f"{self.resources.align.cpu:g}"
            )
        if self.compare.device == "cuda" and not self.resources.align.gpu:
            raise ValueError("compare.device = cuda: needs a (fractional) GPU, set resources.align.gpu")
        if "weight_matching" in self.align.methods and self.align.weight_matching.kernel != "linear":
            for key, wanted in (
                ("kinds = joint", "joint" in self.compare.kinds),
                ("across = widths", "widths" in self.compare.across),
            ):
                if wanted:
                    raise ValueError(
                        f"compare.{key}: weight matching does this with the kernel linear alone, not "
                        f"align.weight_matching.kernel = {self.align.weight_matching.kernel}"
                    )
        if "weight_matching" not in self.align.methods:
            for key, wanted in (
                ("trajectory.stacks", bool(self.compare.trajectory and self.compare.trajectory.stacks)),
                ("across = widths", "widths" in self.compare.across),
            ):
                if wanted:
                    raise ValueError(f"compare.{key}: needs weight_matching among align.methods")
        if self.prune and self.train.imports:
            raise ValueError("prune: imported networks cannot be pruned, their training is not known")
        return self
