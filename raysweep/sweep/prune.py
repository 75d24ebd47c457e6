"""The section `prune` of a sweep file: iterative magnitude pruning and its controls."""

from typing import Annotated, Literal

from pydantic import Field

from raysweep.choices import choose
from raysweep.sweep.branches import BRANCHES
from raysweep.sweep.fields import NameOf, Number, Strict, Time, Whole
from raysweep.training.moment import Moment
from raysweep.vocabulary import MaskPermutation, Scope

PRUNED = "prune_"  # how the columns of `trials` begin that are keys of `prune`
Control = Annotated[str, NameOf(BRANCHES)]


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


class Pruning(Strict):
    """One way to prune; in the file any of these keys may be a list, which is then swept.

    Every level removes a fraction of the weights that are left. The columns of the table `trials` whose names
    are these with `prune_` before them take their types and meanings from here.
    """

    fraction: Number = Field(
        default=0.2, gt=0, lt=1, description="The share of the remaining weights that each level removes."
    )
    scope: Scope = Field(
        default=Scope.GLOBAL,
        description="Whether magnitudes are compared across the whole network or within each layer.",
    )
    exclude: tuple[str, ...] = Field(
        default=(), description="The layers that stay dense; `output` stands for the last layer."
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

    @property
    def keeps_optimiser(self) -> bool:
        return choose("optimiser at the rewind point", self.optimiser, {"fresh": False, "kept": True})

    @property
    def renews_order(self) -> bool:
        return choose("data_order", self.data_order, {"same": False, "new": True})


class PruneRest(Strict):
    """The keys of `prune` that are not swept: how many levels there are, and what is trained beside them."""

    levels: Whole = Field(
        gt=0, le=1000, description="The number of pruned levels; level 0 is the dense trial."
    )
    branches: list[Control] = Field(
        default=[],
        description="The control trials that are trained beside each chain; [names](#names) says which.",
    )
    transport: Transport = Transport()
