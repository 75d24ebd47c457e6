"""The methods of alignment: the function behind each name, what it can align, and its options.

To add one, write its function in a file of `alignment/`, a model of its options, and an entry here.
"""

from dataclasses import dataclass

from raysweep.registry import Entry, Registry, is_own
from raysweep.sweep.method_options import (
    ActivationMatching,
    Ascent,
    FrankWolfe,
    Learned,
    Options,
    OrthogonalMatching,
    SinkhornRebasin,
    StraightThrough,
    WeightMatching,
)

# The arguments of a method's function, which gets those that its signature names, and its options.
OFFERED = {
    "spec": "the proved `PermutationSpec` of the networks",
    "scaled_spec": "the same with its `scalings`, the scales and signs of units that it also allows",
    "rotated_spec": "the same with its `rotations`, the orthogonal matrices that it also allows",
    "states": "their state dicts, two or more",
    "target": "the state dict of the first network",
    "source": "that of the second",
    "models": "modules with these states, in evaluation mode",
    "images": "the first training images, scaled, without augmentation: 10,000, or as many as its option "
    "`examples` says",
    "labels": "their labels",
    "similarities": "by layer group, the similarities of the units of two networks (target, source) on "
    "training images, with the options of `activation_matching`; of more networks by pairs (i, j)",
    "blocks": "`spec.blocks`",
    "progress": "where a method that takes long notes tensors (`progress.note(compute)`), and from where it "
    "goes on (`progress.found`, tensors by name) after its process was killed",
    "seed": "an integer",
}
OF_A_PAIR = frozenset({"target", "source"})  # a function that takes these aligns two networks alone


@dataclass(frozen=True)
class Method(Entry):
    """A method of alignment; its function aligns two networks.

    `joint` is the function that aligns any number of networks at once, and `widths` the one that matches a
    narrow network to a part of a wide one; None where there is none. `stacks` says whether one permutation
    can align several checkpoints of two runs, and `tasks` whether networks of two data sets can be aligned:
    that takes weights alone. A method that `rotates` units mixes them, so that masks cannot follow. Options
    that are no `columns` of the table `alignments` are in its column `options`.
    """

    options: type[Options]
    joint: str | None = None
    widths: str | None = None
    stacks: bool = False
    tasks: bool = False
    rotates: bool = False
    columns: bool = False

    @property
    def meaning(self) -> str:
        words = {
            "joint": "any number at once",
            "stacks": "stacks",
            "widths": "two widths",
            "tasks": "two tasks",
        }
        found = ", ".join(["pairs", *(said for what, said in words.items() if getattr(self, what))])
        return f"{self.description} Aligns {found}."


METHODS = Registry(
    "alignment method",
    {
        "weight_matching": Method(
            "raysweep.alignment.weight_matching:weight_matching",
            "Coordinate ascent in the inner product of all weights (Ainsworth et al. 2023).",
            WeightMatching,
            joint="raysweep.alignment.joint:joint_matching",
            widths="raysweep.alignment.embedding:embed",
            stacks=True,
            tasks=True,
            columns=True,
        ),
        "activation_matching": Method(
            "raysweep.alignment.activation_matching:match_similarities",
            "Assignments by the similarities of units on training examples (Li et al. 2015).",
            ActivationMatching,
            joint="raysweep.alignment.joint_activations:match_jointly",
            columns=True,
        ),
        "monomial_matching": Method(
            "raysweep.alignment.monomial_matching:monomial_matching",
            "Weight matching by permutation, positive scale (before a ReLU) and sign (before a tanh).",
            Ascent,
        ),
        "inner_matching": Method(
            "raysweep.alignment.partial_matching:inner_matching",
            "Weight matching of feed-forward units alone: attention heads, other units in blocks, and "
            "residual streams stay in place.",
            Ascent,
            joint="raysweep.alignment.partial_matching:joint_inner_matching",
            tasks=True,
        ),
        "branch_matching": Method(
            "raysweep.alignment.partial_matching:branch_matching",
            "Weight matching of all units but those of residual streams.",
            Ascent,
            joint="raysweep.alignment.partial_matching:joint_branch_matching",
            tasks=True,
        ),
        "orthogonal_matching": Method(
            "raysweep.alignment.orthogonal_matching:orthogonal_matching",
            "Weight matching by permutation, and by rotation of the units inside heads and of residual "
            "streams (Zhang et al. 2025; Theus et al. 2025).",
            OrthogonalMatching,
            rotates=True,
        ),
        "frank_wolfe": Method(
            "raysweep.alignment.frank_wolfe:frank_wolfe",
            "Ascent in the inner product of all weights, in all layers at once (Crisostomi et al. 2024).",
            FrankWolfe,
            joint="raysweep.alignment.frank_wolfe:frank_wolfe",
            tasks=True,
        ),
        "sinkhorn_rebasin": Method(
            "raysweep.alignment.sinkhorn_rebasin:sinkhorn_rebasin",
            "A relaxed permutation, trained on the loss between two networks (Pena et al. 2023).",
            SinkhornRebasin,
        ),
        "straight_through": Method(
            "raysweep.alignment.straight_through:straight_through",
            "Weight matching against copies that the loss of a mixture trains (Ainsworth et al. 2023; of "
            "more than two networks Ito et al. 2025).",
            StraightThrough,
            joint="raysweep.alignment.straight_through:straight_through",
        ),
        "learned": Method(
            "raysweep.alignment.learned:learned",
            "Permutations of all networks, trained together on what their mixtures answer, then improved by "
            "swaps of units.",
            Learned,
            joint="raysweep.alignment.learned:learned",
        ),
    },
)


def of_ours(method: str) -> Method | None:
    """Return the entry of a method, None for a user's own. Raises `ValueError` for an unknown name."""
    return None if is_own(method) else METHODS[method]


def able(what: str) -> list[str]:
    """Return the methods of ours that can align `joint`, `widths`, `stacks` or `tasks`."""
    return [name for name, entry in METHODS.items() if getattr(entry, what)]
