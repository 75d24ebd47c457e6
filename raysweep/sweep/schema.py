"""The sections of a sweep file."""

from collections.abc import Callable
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
from raysweep.training.moment import Moment
from raysweep.training.names import OPTIMISERS, PRECISIONS, SCHEDULES
from raysweep.vocabulary import (
    ANALYSES,
    CONTROLS,
    LISTED_KINDS,
    Across,
    Branch,
    HybridLayers,
    Kernel,
    Kind,
    LevelPermutation,
    LevelPoint,
    MaskPermutation,
    Method,
    Order,
    Scope,
    Similarity,
    Split,
    Statistics,
    Tensor,
)


def _one_of(valid: tuple[str, ...]) -> Callable[[Any], Any]:
    def check(value: Any) -> Any:
        if value not in valid:
            raise ValueError(f"valid choices: {', '.join(valid)}")
        return value

    return check


def _names(valid: tuple[str, ...]) -> WithJsonSchema:
    return WithJsonSchema({"enum": list(valid), "type": "string"})


Seed = Annotated[int, Field(ge=0)] | Literal["replicate"]
Time = Annotated[
    Moment, BeforeValidator(Moment.parse), PlainSerializer(str), WithJsonSchema({"type": "moment"})
]
MLP_DEPTH = 3
Share = Annotated[float, Field(gt=0, le=1)]
Device = Literal["cpu", "cuda"]
AtLeastTwo = Annotated[int, Field(ge=2)]
ListedKind = Annotated[Kind, BeforeValidator(_one_of(LISTED_KINDS)), _names(LISTED_KINDS)]
Control = Annotated[Branch, BeforeValidator(_one_of(CONTROLS)), _names(CONTROLS)]
Analysis = Annotated[str, BeforeValidator(_one_of(ANALYSES)), _names(ANALYSES)]

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
    """One configuration of `train`; in the file any of these keys may be a list, which is then swept.

    The columns of the table `trials` that have these names take their types and meanings from here.
    """

    dataset: str = Field(
        description="The name of the data set. The digits come with scikit-learn; the others are read from "
        "files."
    )
    split_seed: int = Field(
        default=0,
        ge=0,
        description="The seed that draws the test set of a data set without an official one.",
    )
    half: Literal[0, 1, "replicate"] | None = Field(
        default=None,
        description="The half of the training examples that is used, 0 or 1; `replicate` alternates between "
        "the two. Null means all examples.",
    )
    fraction: Share | None = Field(
        default=None,
        description="The share of the training examples that is used. Null means all examples.",
    )
    examples: tuple[int, int] | None = Field(
        default=None,
        description="The range [start, stop) of the shuffled training examples that is used. Null means all "
        "examples.",
    )
    subset_seed: int = Field(
        default=0, ge=0, description="The seed that draws `half`, `fraction` and `examples`."
    )
    pixel_seed: int | None = Field(
        default=None,
        description="The seed of one permutation of the pixels that is applied to all images. Null means "
        "that the pixels stay in place.",
    )
    scaling: str = Field(
        default="unit",
        description="How pixels are scaled: `unit` makes the largest training pixel 1, `standardise` gives "
        "each channel mean 0 and standard deviation 1.",
    )
    augment: str = Field(
        default="none",
        description="How training images are augmented: `flip_crop` mirrors them at random and shifts them "
        "by up to 4 pixels.",
    )
    model: str = Field(
        default="mlp",
        description="The architecture, or `module:function` for a network of your own.",
    )
    width: int = Field(
        gt=0,
        le=100_000,
        description="The units of a hidden layer of the mlp. For other models it is the number of channels "
        "of the first stage, with which all other layers scale (the standard is 6 for LeNet-5, 64 for VGG "
        "and 16 for ResNet).",
    )
    depth: int | None = Field(
        default=None,
        gt=0,
        le=1000,
        description="The number of hidden layers of the mlp, which is 3 unless given. Null for other models.",
    )
    norm: str = Field(
        default="none",
        description="The normalisation. `layer` is LayerNorm over the channels of each pixel, as in the "
        "paper.",
    )
    init: str = Field(
        default="kaiming_normal",
        description="The initialisation. `own` keeps what the constructor of the network draws.",
    )
    epochs: int = Field(
        ge=0,
        le=1_000_000,
        description="The number of passes over the training data. The key is required unless networks are "
        "imported.",
    )
    batch_size: int = Field(default=128, gt=0, description="The number of examples in a training step.")
    drop_last: bool = Field(
        default=False,
        description="Whether each epoch leaves out its last batch where that is smaller than the others.",
    )
    optimiser: str = Field(default="sgd", description="The optimiser.")
    learning_rate: float = Field(
        default=0.1, gt=0, description="The largest learning rate that the schedule reaches."
    )
    momentum: float = Field(
        default=0.9, ge=0, lt=1, description="The momentum of SGD, or the coefficient beta1 of AdamW."
    )
    nesterov: bool = Field(default=False, description="Whether SGD uses Nesterov's momentum.")
    weight_decay: float = Field(
        default=1e-4, ge=0, description="The weight decay, which every step applies to all weights."
    )
    schedule: str = Field(
        default="one_cycle", description="How the learning rate changes from one step to the next."
    )
    milestones: tuple[Time, ...] = Field(
        default=(),
        description="The moments at which the schedule `milestones` multiplies the learning rate by `gamma` "
        "(ep: epochs, st: steps).",
    )
    gamma: float = Field(
        default=0.1, gt=0, description="The factor by which the learning rate changes at each milestone."
    )
    warmup: Time = Field(
        default=Moment(0),
        description="How long the learning rate first rises linearly from 0 (ep: epochs, st: steps).",
    )
    precision: str = Field(
        default="float32", description="The precision of training. `bfloat16` uses autocast."
    )
    channels_last: bool = Field(
        default=False, description="Whether images are stored in memory with their channels last."
    )
    init_seed: Seed = Field(
        default="replicate",
        description="The seed of the initialisation; `replicate` uses the number of the replicate.",
    )
    data_seed: Seed = Field(
        default="replicate",
        description="The seed of the order of the examples and of the augmentation; `replicate` uses the "
        "number of the replicate.",
    )
    spawn_at: Time | None = Field(
        default=None,
        description="The moment at which the replicates leave a common trunk. Null means that there is no "
        "trunk.",
    )
    spawn_replicate: int = Field(
        default=0, ge=0, description="The number of the replicate whose training is the trunk."
    )
    threads: int = Field(
        default=1,
        gt=0,
        description="The threads of a trial. Their number changes floating-point sums and is therefore part "
        "of the trial's identity.",
    )
    device: Device = Field(
        default="cpu",
        description="The device on which trials run; `cuda` requires `resources.trial.gpu`.",
    )

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
        """Only the mlp has a depth. Its default is set here, so that 3 and nothing mean the same network."""
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
            raise ValueError(
                f"depth: {self.model} has no such setting; only {', '.join(DEPTH_MODELS)} reads it"
            )
        if sum(part is not None for part in (self.half, self.fraction, self.examples)) > 1:
            raise ValueError("half, fraction and examples exclude one another; give at most one of them")
        if self.examples is not None and not 0 <= self.examples[0] < self.examples[1]:
            raise ValueError(f"examples = {list(self.examples)}: expected 0 <= start < stop")
        if bool(self.milestones) != (self.schedule == "milestones"):
            raise ValueError(
                "milestones: the schedule milestones requires this key, and no other schedule reads it"
            )
        if self.nesterov and (self.optimiser != "sgd" or not self.momentum):
            raise ValueError("nesterov: only SGD with momentum reads this key")
        return self


class Every(Strict):
    every: Time = Field(description="The distance between two checkpoints.")


class Geometric(Strict):
    first: Time = Field(
        default=Moment(1, "st"), description="The moment of the first checkpoint of a geometric series."
    )
    factor: float = Field(gt=1, description="The factor from the moment of one checkpoint to the next.")


class TrainRest(Strict):
    """The keys of `train` that are not swept: they do not change the numbers of a trial."""

    replicates: Annotated[int, Field(gt=0, le=100_000)] | list[Annotated[int, Field(ge=0)]] = Field(
        default=2,
        description="How many networks are trained of each configuration, or a list of the replicates' "
        "numbers.",
    )
    checkpoints: Every | Geometric | list[Time] = Field(
        default=[],
        description="The moments at which checkpoints are stored in addition to the start and the end. "
        "Moments past the end are ignored.",
    )
    imports: list[str] = Field(
        default=[], description="Files of your own trained networks; each file is one replicate."
    )
    data_root: str | None = Field(
        default=None, description="The folder of the data, laid out as torchvision does."
    )
    download: bool = Field(
        default=False, description="Whether files of the data set that are missing are downloaded."
    )

    @field_validator("checkpoints", mode="before")
    @classmethod
    def _form(cls, value: Any) -> Any:
        """Choose the form by its keys, so that an error message speaks of that form alone."""
        if isinstance(value, dict):
            return (Geometric if "factor" in value or "first" in value else Every).model_validate(value)
        return value

    def replicate_numbers(self) -> list[int]:
        given = self.replicates
        return list(range(given)) if isinstance(given, int) else sorted(set(given))


class Transport(Strict):
    """Whose masks each network is trained with, and under which permutations of the masks."""

    partners: Literal["next", "all"] = Field(
        default="next",
        description="Whose masks each network is trained with: those of the next replicate, or of all "
        "others.",
    )
    permutations: list[MaskPermutation] = Field(
        default=list(MaskPermutation),
        description="The permutations of the mask: `none`, or one found by the first of `align.methods` on "
        "the dense networks or at the mask's own level.",
    )


class Prune(Strict):
    """Iterative magnitude pruning: every level removes a fraction of the weights that are left."""

    levels: int = Field(gt=0, le=1000, description="The number of pruned levels; level 0 is the dense trial.")
    fraction: float = Field(
        default=0.2, gt=0, lt=1, description="The share of the remaining weights that each level removes."
    )
    scope: Scope = Field(
        default=Scope.GLOBAL,
        description="Whether magnitudes are compared across the whole network or within each layer.",
    )
    exclude: list[str] = Field(
        default=[], description="The layers that stay dense; `output` stands for the last layer."
    )
    rewind: Time = Field(default=Moment(0), description="The moment of training at which each level starts.")
    optimiser: Literal["fresh", "kept"] = Field(
        default="fresh",
        description="The state of the optimiser at the rewind point: `fresh`, or `kept` from the dense run.",
    )
    data_order: Literal["same", "new"] = Field(
        default="same",
        description="The order of the examples after rewinding: the `same` as in the dense run, or a `new` "
        "one at each level.",
    )
    branches: list[Control] = Field(
        default=[], description="The control trials that are trained beside each chain, see below."
    )
    transport: Transport = Transport()

    @property
    def keeps_optimiser(self) -> bool:
        return choose("optimiser at the rewind point", self.optimiser, {"fresh": False, "kept": True})

    @property
    def renews_order(self) -> bool:
        return choose("data_order", self.data_order, {"same": False, "new": True})


class WeightMatching(Strict):
    kernel: Kernel = Field(
        default=Kernel.LINEAR, description="Which similarity of the weights of two units is maximised."
    )
    order: Order = Field(
        default=Order.RANDOM,
        description="The order in which a round of coordinate ascent visits the layers.",
    )
    biases: bool = Field(
        default=True, description="Whether biases and other vectors are matched along with the weights."
    )
    restarts: int = Field(
        default=1,
        gt=0,
        description="The number of ascents for each pair; the one that reaches the best objective is kept.",
    )


class ActivationMatching(Strict):
    tensor: Tensor = Field(
        default=Tensor.LAST,
        description="Which values of a unit are compared: those before its norm and nonlinearity (`first`), "
        "those after them (`last`), or the sum of all similarities (`all`).",
    )
    similarity: Similarity = Field(
        default=Similarity.CORRELATION,
        description="Which similarity of the activations of two units is maximised.",
    )
    examples: int = Field(
        default=10_000,
        gt=0,
        description="The number of training examples on which activations are recorded, without "
        "augmentation.",
    )
    pixels: int = Field(
        default=1,
        gt=0,
        description="The number of pixels of each example at which the value of a channel is recorded.",
    )


class Align(Strict):
    """How networks are aligned; the options of each method bear its name.

    The columns of the table `alignments` that have the names of these keys take their types and meanings from
    here.
    """

    methods: list[Method] = Field(
        default=[Method.WEIGHT_MATCHING],
        description="The methods that find permutations. Weight matching is that of Ainsworth et al. 2023 "
        "and maximises the inner product of all weights.",
    )
    weight_matching: WeightMatching = WeightMatching()
    activation_matching: ActivationMatching = ActivationMatching()
    seed: int = Field(default=0, ge=0, description="The seed of random orders and restarts.")
    threads: int = Field(default=1, gt=0, description="The threads of an align worker.")


class Trajectory(Strict):
    """Permutations that are found at some checkpoints and applied at others; null means all checkpoints."""

    permutations: list[Time] | None = Field(
        default=None,
        description="The moments at which permutations are found; all checkpoints unless given.",
    )
    points: list[Time] | None = Field(
        default=None,
        description="The moments at which permutations are applied; all checkpoints unless given.",
    )
    stacks: list[AtLeastTwo] = Field(
        default=[],
        description="How many of the last checkpoints one permutation aligns at once; this requires weight "
        "matching.",
    )
    hybrids: list[HybridLayers] = Field(
        default=[],
        description="Which layers have the early permutation, while the others have the last one.",
    )
    early: Time | None = Field(
        default=None,
        description="The moment at which the early permutation of hybrids is found; the first one unless "
        "given.",
    )


class Compare(Strict):
    kinds: list[ListedKind] = Field(
        default=[Kind.UNALIGNED, Kind.DIRECT, Kind.VIA],
        description="The kinds of barriers that are computed, see below.",
    )
    joint_networks: list[AtLeastTwo] = Field(
        default=[3], description="How many networks a joint alignment aligns at once."
    )
    mean_networks: list[AtLeastTwo] = Field(
        default=[], description="How many networks are averaged to evaluate their mean."
    )
    path_networks: list[Annotated[int, Field(ge=3)]] = Field(
        default=[3, 4, 5],
        description="How many networks lie on the paths along which permutations are composed.",
    )
    paths: int = Field(
        default=24,
        gt=0,
        description="The largest number of paths of each length, and of cycles of each length.",
    )
    trajectory: Trajectory | None = Field(
        default=None, description="The comparisons along training; none unless given."
    )
    across: list[Across] = Field(
        default=[],
        description="Whether networks of several widths or tasks are compared as well as those of one "
        "configuration.",
    )
    statistics: list[Statistics] = Field(
        default=list(Statistics),
        description="What becomes of the running statistics of BatchNorm, and of InstanceNorm that keeps "
        "them: they are `kept` and mixed like weights, or `recomputed` at every point, which includes the "
        "networks themselves. Other networks have none.",
    )
    splits: list[Split] = Field(
        default=list(Split), description="The splits of the data on which networks are evaluated."
    )
    alphas: int = Field(
        default=25,
        ge=3,
        le=10_001,
        description="The number of points on the line between two networks, which must be odd.",
    )
    subdivisions: int = Field(
        default=12,
        ge=6,
        le=600,
        multiple_of=6,
        description="The number of parts into which each edge of the triangle of three networks is divided.",
    )
    train_examples: int = Field(
        default=10_000,
        gt=0,
        description="How many examples of the split train are evaluated, from its first example on.",
    )
    level_permutations: list[LevelPermutation] = Field(
        default=list(LevelPermutation),
        description="Where permutations of pruned networks are found: at level 0 (`dense`) or at the same "
        "level.",
    )
    level_points: list[LevelPoint] = Field(
        default=list(LevelPoint),
        description="The moments of a level at which pruned networks are compared.",
    )
    device: Device = Field(
        default="cpu",
        description="The device on which barriers are evaluated; `cuda` requires `resources.align.gpu`.",
    )

    @field_validator("alphas")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("must be odd, so that the midpoint is on the grid")
        return value


class Worker(Strict):
    cpu: float = Field(default=1, gt=0, description="The CPUs of one process.")
    gpu: float = Field(
        default=0, ge=0, description="The GPUs of one process; 0.25 lets four processes share one GPU."
    )


class Resources(Strict):
    trial: Worker = Worker()
    align: Worker = Worker()
    workers: int | None = Field(
        default=None,
        gt=0,
        description="The largest number of processes of each kind at a time; as many as fit unless given.",
    )
    tile_seconds: float = Field(
        default=2, gt=0, description="How many seconds of work an align worker is given at a time."
    )
    cache_mb: int = Field(
        default=1000,
        ge=0,
        description="The memory in MB in which each align worker keeps checkpoints and activations.",
    )
    disk_cache_mb: int = Field(
        default=20_000,
        ge=0,
        description="The disk space in MB in which each node keeps what it read from s3:// or gs://; it "
        "lies in `RAYSWEEP_CACHE` or in the node's temporary folder.",
    )
    unit_seconds: float = Field(
        default=3600,
        gt=0,
        description="How many seconds one alignment or barrier may take before its worker is considered hung "
        "and is killed.",
    )
    resume_seconds: float = Field(
        default=30, ge=0, description="The seconds between two resume points of a trial."
    )


class Tracking(Strict):
    enabled: bool = Field(default=True, description="Whether the sweep is logged to MLflow.")


class Sections(Strict):
    """A whole sweep file, except for the swept keys of `train`."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="The name of the sweep and of its folder `sweeps/NAME` under the root.",
    )
    train: TrainRest = TrainRest()
    prune: Prune | None = None
    align: Align = Align()
    compare: Compare = Compare()
    analyses: list[Analysis] = Field(
        default=[],
        description="The analyses that run at the end; each prints a table and saves its figures.",
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
            raise ValueError(
                "compare.device = cuda: requires a GPU, or a fraction of one; set resources.align.gpu"
            )
        if self.prune and self.train.imports:
            raise ValueError("prune: imported networks cannot be pruned, because their training is not known")
        self._check_weight_matching()
        return self

    def _check_weight_matching(self) -> None:
        """Some comparisons are for weight matching alone, and some of those for its kernel linear alone."""
        stacks = bool(self.compare.trajectory and self.compare.trajectory.stacks)
        widths = Across.WIDTHS in self.compare.across
        if Method.WEIGHT_MATCHING not in self.align.methods:
            for key, asked in (("trajectory.stacks", stacks), ("across = widths", widths)):
                if asked:
                    raise ValueError(f"compare.{key}: requires weight_matching among align.methods")
            return
        kernel = self.align.weight_matching.kernel
        if kernel == Kernel.LINEAR:
            return
        for key, asked in (("kinds = joint", Kind.JOINT in self.compare.kinds), ("across = widths", widths)):
            if asked:
                raise ValueError(
                    f"compare.{key}: weight matching does this with the kernel linear alone, not with "
                    f"align.weight_matching.kernel = {kernel}"
                )
