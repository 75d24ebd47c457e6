"""The keys of the section `train` that may be swept: what is trained, and how."""

from collections.abc import Collection
from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from raysweep.choices import valid_choices
from raysweep.data.registry import AUGMENTATIONS, DATASETS, SCALINGS
from raysweep.models.registry import INITS, MODELS, NORMS, check_depth
from raysweep.registry import OwnFunction, Registry, is_own
from raysweep.sweep.fields import NO_OPTIONS, Device, Number, Options, Strict, Time, Whole
from raysweep.training.moment import Moment
from raysweep.training.registry import OPTIMISERS, SCHEDULES

Seed = Annotated[Whole, Field(ge=0)] | Literal["replicate"]
Half = Annotated[Whole, Field(ge=0, le=1)] | Literal["replicate"]
Share = Annotated[Number, Field(gt=0, le=1)]
PRECISIONS = ("float32", "bfloat16")
OPTIONS = "_options"  # how keys end that hold further arguments of a function
REGISTRIES: dict[str, Registry[Any]] = {  # by the key whose values are their names
    "dataset": DATASETS,
    "scaling": SCALINGS,
    "augment": AUGMENTATIONS,
    "model": MODELS,
    "norm": NORMS,
    "init": INITS,
    "optimiser": OPTIMISERS,
    "schedule": SCHEDULES,
}
CHOICES: dict[str, Collection[str]] = {
    "precision": PRECISIONS,
    **REGISTRIES,
}


class Training(Strict):
    """One configuration of `train`; in the file any of these keys may be a list, which is then swept.

    The columns of the table `trials` that have these names take their types and meanings from here.
    """

    dataset: str = Field(description="The data set, or `module:function` for one of your own.")
    dataset_options: Options = Field(
        default=NO_OPTIONS, description="Further arguments of the function of `dataset`, by name."
    )
    split_seed: Whole = Field(
        default=0,
        ge=0,
        description="The seed that draws the test set of a data set without an official one.",
    )
    half: Half | None = Field(
        default=None,
        description="The half of the training examples that is used, 0 or 1; `replicate` alternates between "
        "the two. Null means all examples.",
    )
    fraction: Share | None = Field(
        default=None,
        description="The share of the training examples that is used. Null means all examples.",
    )
    examples: tuple[Whole, Whole] | None = Field(
        default=None,
        description="The range [start, stop) of the shuffled training examples that is used. Null means all "
        "examples.",
    )
    subset_seed: Whole = Field(
        default=0, ge=0, description="The seed that draws `half`, `fraction` and `examples`."
    )
    pixel_seed: Whole | None = Field(
        default=None,
        description="The seed of one permutation of the pixels that is applied to all images. Null means "
        "that the pixels stay in place.",
    )
    scaling: str = Field(
        default="unit",
        description="How inputs are scaled.",
    )
    scaling_options: Options = Field(
        default=NO_OPTIONS, description="Further arguments of the function of `scaling`, by name."
    )
    augment: str = Field(
        default="none",
        description="How training images are changed in each batch, or `module:function` for an "
        "augmentation of your own.",
    )
    augment_options: Options = Field(
        default=NO_OPTIONS, description="Further arguments of the function of `augment`, by name."
    )
    model: str = Field(
        default="mlp",
        description="The architecture.",
    )
    width: Whole = Field(
        gt=0,
        le=100_000,
        description="The units of a hidden layer of the mlp, or of the residual stream of vit and gpt. For "
        "other models it is the number of channels of the first stage, with which all other layers scale "
        "(the standard is 6 for LeNet-5, 64 for VGG and 16 for ResNet).",
    )
    depth: Whole | None = Field(
        default=None,
        gt=0,
        le=1000,
        description="The number of hidden layers of the mlp, which is 3 unless given, or of blocks of "
        "vit and gpt, which is 2. Null for other models.",
    )
    norm: str = Field(default="none", description="The normalisation.")
    init: str = Field(default="kaiming_normal", description="The initialisation.")
    init_options: Options = Field(
        default=NO_OPTIONS, description="Further arguments of the function of `init`, by name."
    )
    epochs: Whole = Field(
        ge=0,
        le=1_000_000,
        description="The number of passes over the training data. The key is required unless networks are "
        "imported.",
    )
    batch_size: Whole = Field(default=128, gt=0, description="The number of examples in a training step.")
    drop_last: bool = Field(
        default=False,
        description="Whether each epoch leaves out its last batch where that is smaller than the others.",
    )
    optimiser: str = Field(default="sgd", description="The optimiser.")
    optimiser_options: Options = Field(
        default=NO_OPTIONS, description="Further arguments of the function of `optimiser`, by name."
    )
    learning_rate: Number = Field(
        default=0.1, gt=0, description="The largest learning rate that the schedule reaches."
    )
    momentum: Number = Field(
        default=0.9,
        ge=0,
        lt=1,
        description="The momentum of SGD and RMSprop, or the coefficient beta1 of Adam and AdamW.",
    )
    nesterov: bool = Field(default=False, description="Whether SGD uses Nesterov's momentum.")
    weight_decay: Number = Field(
        default=1e-4, ge=0, description="The weight decay, which every step applies to all weights."
    )
    schedule: str = Field(
        default="one_cycle", description="How the learning rate changes from one step to the next."
    )
    schedule_options: Options = Field(
        default=NO_OPTIONS, description="Further arguments of the function of `schedule`, by name."
    )
    milestones: tuple[Time, ...] = Field(
        default=(),
        description="The moments at which the schedule `milestones` multiplies the learning rate by `gamma` "
        "(ep: epochs, st: steps).",
    )
    gamma: Number = Field(
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
    spawn_replicate: Whole = Field(
        default=0, ge=0, description="The number of the replicate whose training is the trunk."
    )
    threads: Whole = Field(
        default=1,
        gt=0,
        description="The threads of a trial. Their number changes floating-point sums and is therefore part "
        "of the trial's identity.",
    )
    device: Device = Field(
        default="cpu",
        description="The device on which trials run; `cuda` requires `resources.trial.gpu`.",
    )
    compile: Literal["auto", "capture", "off"] = Field(
        default="auto",
        description="How a GPU takes training steps: `auto` compiles them where that helps and captures them "
        "in a CUDA graph, `capture` only captures them, and `off` does neither, for networks that compute "
        "something else at each step.",
    )

    def own_functions(self) -> dict[str, OwnFunction]:
        """Return the user's functions by the keys that name them."""
        open_ = {key: registry for key, registry in REGISTRIES.items() if registry.own}
        values = {key: getattr(self, key) for key in open_}
        return {
            key: open_[key].own_function(value) for key, value in values.items() if open_[key].is_own(value)
        }

    @field_validator(*CHOICES)
    @classmethod
    def _known(cls, value: str, info: Any) -> str:
        names = CHOICES[info.field_name]
        if isinstance(names, Registry):
            return names.check(value)
        if value not in names:
            raise ValueError(valid_choices(value, names))
        return value

    @model_validator(mode="before")
    @classmethod
    def _depth(cls, given: Any) -> Any:
        """Set the default depth of a model, so that giving it and giving none mean the same network."""
        if not isinstance(given, dict) or given.get("depth") is not None:
            return given
        entry = MODELS.entries.get(given.get("model", cls.model_fields["model"].default))
        return {**given, "depth": entry.depth} if entry and entry.depth else given

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_depth(self.model, self.depth)
        self._check_tokens()
        if sum(part is not None for part in (self.half, self.fraction, self.examples)) > 1:
            raise ValueError("half, fraction and examples exclude one another; give at most one of them")
        if self.examples is not None and not 0 <= self.examples[0] < self.examples[1]:
            raise ValueError(f"examples = {list(self.examples)}: expected 0 <= start < stop")
        self._check_milestones()
        self._check_nesterov()
        return self

    def _check_tokens(self) -> None:
        """Only a model of tokens predicts those that follow; no scaling may change their numbers."""
        data = DATASETS.of_tokens(self.dataset)
        if not is_own(self.model) and MODELS[self.model].tokens != data:
            fitting = [name for name, model in MODELS.items() if model.tokens == data]
            raise ValueError(
                f"model: {self.model} does not fit dataset {self.dataset}; valid: {', '.join(fitting)}"
            )
        for key, valid in (("scaling", "none"), ("pixel_seed", None)):
            if data and getattr(self, key) != valid:
                shown = "null" if valid is None else valid
                raise ValueError(f"{key}: dataset {self.dataset} consists of tokens in order; valid: {shown}")

    def _check_milestones(self) -> None:
        """Those of our schedules that read milestones require them; a user's own may do without."""
        if is_own(self.schedule):
            return
        if bool(self.milestones) != ("milestones" in SCHEDULES[self.schedule].keys):
            readers = [name for name, schedule in SCHEDULES.items() if "milestones" in schedule.keys]
            raise ValueError(
                f"milestones: the schedule {', '.join(readers)} requires this key, and no other schedule "
                "reads it"
            )

    def _check_nesterov(self) -> None:
        readers = [name for name, optimiser in OPTIMISERS.items() if "nesterov" in optimiser.keys]
        reads = is_own(self.optimiser) or self.optimiser in readers
        if self.nesterov and not (reads and self.momentum):
            raise ValueError(f"nesterov: only {', '.join(readers)} with momentum reads this key")
