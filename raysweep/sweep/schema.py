"""A whole sweep file, and what its sections require of each other."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from raysweep.registry import is_own
from raysweep.sweep.align import Align
from raysweep.sweep.compare import Compare
from raysweep.sweep.fields import Strict, json_names, one_of
from raysweep.sweep.methods import able, of_ours
from raysweep.sweep.prune import PruneRest
from raysweep.sweep.resources import Resources, Tracking
from raysweep.sweep.train_rest import TrainRest
from raysweep.vocabulary import ANALYSES, Across, Kernel, Kind, MaskPermutation, Precision

Analysis = Annotated[str, BeforeValidator(one_of(ANALYSES)), json_names(ANALYSES)]


class Sections(Strict):
    """A whole sweep file, except for the swept keys of `train` and `prune`."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        description="The name of the sweep and of its folder `sweeps/NAME` under the root.",
    )
    train: TrainRest = TrainRest()
    prune: PruneRest | None = None
    align: Align = Align()
    compare: Compare = Compare()
    analyses: list[Analysis] = Field(
        default=[],
        description="The analyses that run at the end; each logs a table and saves its figures.",
    )
    resources: Resources = Resources()
    tracking: Tracking = Tracking()

    @property
    def alignments_at_once(self) -> int:
        """How many alignments a worker computes at a time; on the CPU one, which has all of its threads."""
        return max(1, int(self.resources.align.cpu)) if self.align.device == "cuda" else 1

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.align.threads > max(1, self.resources.align.cpu):
            raise ValueError(
                f"align.threads = {self.align.threads} is more than resources.align.cpu = "
                f"{self.resources.align.cpu:g}"
            )
        for section, device in (("align", self.align.device), ("compare", self.compare.device)):
            if device == "cuda" and not self.resources.align.gpu:
                raise ValueError(
                    f"{section}.device = cuda: requires a GPU, or a fraction of one; set resources.align.gpu"
                )
        if self.compare.precision == Precision.TF32 and self.compare.device != "cuda":
            raise ValueError("compare.precision = tf32: requires compare.device = cuda")
        if self.compare.compile != "auto" and self.compare.device != "cuda":
            raise ValueError(
                f"compare.compile = {self.compare.compile}: has no effect, because only a GPU reads it; "
                "leave it out or set compare.device = cuda"
            )
        if self.prune and self.train.imports:
            raise ValueError("prune: imported networks cannot be pruned, because their training is not known")
        self._check_methods()
        return self

    def _check_methods(self) -> None:
        """Some comparisons are for some methods alone, and for the kernel linear of weight matching."""
        stacks = bool(self.compare.trajectory and self.compare.trajectory.stacks)
        joint, widths = Kind.JOINT in self.compare.kinds, Across.WIDTHS in self.compare.across
        asked = {"joint": joint, "widths": widths, "stacks": stacks}
        keys = {"joint": "kinds = joint", "widths": "across = widths", "stacks": "trajectory.stacks"}
        open_ = {"joint": any(map(is_own, self.align.methods))}  # a plan asks the user's functions
        for what in (each for each in asked if asked[each] and not open_.get(each)):
            if not set(able(what)) & set(self.align.methods):
                raise ValueError(
                    f"compare.{keys[what]}: requires {' or '.join(able(what))} among align.methods"
                )
        self._check_masks()
        kernel = self.align.weight_matching.kernel
        if "weight_matching" in self.align.methods and kernel != Kernel.LINEAR:
            for what in (each for each in ("joint", "widths") if asked[each]):
                raise ValueError(
                    f"compare.{keys[what]}: weight matching does this with the kernel linear alone, not with "
                    f"align.weight_matching.kernel = {kernel}"
                )

    def _check_masks(self) -> None:
        """Masks can be permuted, but not rotated."""
        first = of_ours(self.align.methods[0])
        moved = self.prune and {*self.prune.transport.permutations} - {MaskPermutation.NONE}
        if self.prune and moved and "transport" in self.prune.branches and first and first.rotates:
            raise ValueError(
                "prune.branches = transport: the first of align.methods permutes the masks, and "
                f"{self.align.methods[0]} rotates units; put another method first"
            )
