"""The control branches that `prune.branches` may list: what is trained beside each chain.

To add one, write the function of its masks and an entry here.
"""

from dataclasses import dataclass

from raysweep.registry import Entry, Registry

# What the function of a branch's masks may take: the `masks` of its chain at the level (where they are those
# of others, the other chain's, permuted), the `state` of the dense network at the end of training, the
# `level`, the keys `fraction` and `scope` of `prune`, and a `seed` of the trial and the level.
OFFERED = ("masks", "state", "level", "fraction", "scope", "seed")


@dataclass(frozen=True)
class Branch(Entry):
    """The function returns the masks of a level; it takes those of `OFFERED` that its signature names.

    `title` is what an analysis calls the run. A `fresh` branch trains a new initialisation from step 0, and
    any other the network at the rewind point. One under the masks `of_others` has a trial for each of
    `prune.transport.partners` and `prune.transport.permutations`.
    """

    title: str
    fresh: bool = False
    of_others: bool = False


BRANCHES = Registry(
    "branch",
    {
        "random": Branch(
            "raysweep.pruning.masks:random_masks",
            "Trained from the rewind point, under random masks with the layer sparsities of the chain.",
            "random mask",
        ),
        "one_shot": Branch(
            "raysweep.pruning.masks:one_shot_masks",
            "Trained from the rewind point, under masks by the magnitudes of the dense network.",
            "one-shot mask",
        ),
        "reinitialise": Branch(
            "raysweep.pruning.masks:same_masks",
            "Trained from a new initialisation at step 0, under the chain's masks.",
            "reinitialised",
            fresh=True,
        ),
        "transport": Branch(
            "raysweep.pruning.masks:same_masks",
            "Trained from the rewind point, under another chain's masks, as they are or permuted.",
            "transported",
            of_others=True,
        ),
    },
    own=False,
)


def begins_anew(branch: str) -> bool:
    """Whether a trial of a branch (or of none) is trained from a new initialisation of its own."""
    return branch in BRANCHES and BRANCHES[branch].fresh
