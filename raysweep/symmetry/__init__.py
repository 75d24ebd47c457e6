"""Permutation symmetries of networks: specs found by tracing, and permutations and their algebra.

`PermutationSpec.trace(model, example)` finds and proves which axes of a network's parameters and buffers
move together when hidden units are reordered; `spec.apply(permutation, state_dict)` reorders them. Units that
reach an operation which is not understood stay in place, and what cannot be proved raises
`raysweep.errors.SpecError`.

Words: a *unit* is a hidden unit (a neuron, or a channel of a convolution). A *layer group*, `group` in the
code, is a set of units that can be reordered among each other; it lies along one or several axes of
parameters, which then move together. *Blocks* are equal runs of consecutive units of a group: the units of a
grouped convolution move inside their block, and whole blocks move. An axis is a list of *segments*, each
of which is a run of entries of one group, or of entries that stay in place.
"""

from raysweep.symmetry.kind import Kind
from raysweep.symmetry.left_alone import LeftAlone
from raysweep.symmetry.movement import Movement
from raysweep.symmetry.permutation import Permutation
from raysweep.symmetry.proof import prove
from raysweep.symmetry.reading import read_in_training_only
from raysweep.symmetry.spec import PermutationSpec

__all__ = [
    "Kind",
    "LeftAlone",
    "Movement",
    "Permutation",
    "PermutationSpec",
    "prove",
    "read_in_training_only",
]
