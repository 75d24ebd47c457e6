"""The section `compare` of a sweep file: which barriers are measured."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator

from raysweep.registry import OwnFunction, is_own
from raysweep.sweep.fields import Device, Strict, Time, Whole, json_names, one_of
from raysweep.sweep.measures import MEASURES
from raysweep.vocabulary import (
    LISTED_KINDS,
    Across,
    HybridLayers,
    Kind,
    LevelPermutation,
    LevelPoint,
    Precision,
    Split,
    Statistics,
)

AtLeastTwo = Annotated[Whole, Field(ge=2)]
ListedKind = Annotated[Kind, BeforeValidator(one_of(LISTED_KINDS)), json_names(LISTED_KINDS)]
MeasureName = Annotated[
    str, BeforeValidator(MEASURES.check), WithJsonSchema({"enum": [*MEASURES, "module:function"]})
]


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
        description="The [kinds of barriers](#kinds-of-barriers) that are computed.",
    )
    joint_networks: list[AtLeastTwo] = Field(
        default=[3], description="How many networks a joint alignment aligns at once."
    )
    mean_networks: list[AtLeastTwo] = Field(
        default=[], description="How many networks are averaged to evaluate their mean."
    )
    path_networks: list[Annotated[Whole, Field(ge=3)]] = Field(
        default=[3, 4, 5],
        description="How many networks lie on the paths along which permutations are composed.",
    )
    paths: Whole = Field(
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
        min_length=1,
        default=[Statistics.KEPT, Statistics.RECOMPUTED],
        description="What becomes of the running statistics of BatchNorm, and of InstanceNorm that keeps "
        "them: they are `kept` and mixed like weights, or `recomputed` at every point, which includes the "
        "networks themselves. Other networks have none, and a barrier of their own for neither. `repaired`, "
        "for any network: as `kept`, and the hidden units of every mixture get the interpolated means and "
        "standard deviations of its networks (REPAIR). Both are computed on the first `train_examples` "
        "of the split train, less what is beyond a multiple of 1000, or on all of them if they are fewer.",
    )
    measures: list[MeasureName] = Field(
        default=[],
        description="What is measured of every mixture besides loss and error; [names](#names) says what "
        "each is.",
    )
    splits: list[Split] = Field(
        min_length=1,
        default=list(Split),
        description="The splits of the data on which networks are evaluated.",
    )
    alphas: Whole = Field(
        default=25,
        ge=3,
        le=10_001,
        description="The number of points on the line between two networks, which must be odd.",
    )
    subdivisions: Whole = Field(
        default=12,
        ge=6,
        le=600,
        multiple_of=6,
        description="The number of parts into which each edge of the triangle of three networks is divided.",
    )
    train_examples: Whole = Field(
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
    precision: Precision = Field(
        default=Precision.FLOAT32,
        description="The precision in which networks are evaluated. `bfloat16` uses autocast, and `tf32` "
        "requires `device: cuda`.",
    )
    compile: Literal["auto", "capture", "off"] = Field(
        default="auto",
        description="How a GPU evaluates networks: `auto` compiles them and captures them in a CUDA graph, "
        "`capture` only captures them, and `off` does neither. A network for which this fails is evaluated "
        "without it, and the log says why.",
    )

    def own_functions(self) -> list[OwnFunction]:
        """Return the user's own measures."""
        return [MEASURES.own_function(name) for name in self.measures if is_own(name)]

    @field_validator("alphas")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("must be odd, so that the midpoint is on the grid")
        return value
