"""Permutation symmetries of networks: specs found by tracing, and permutations and their algebra.

`PermutationSpec.trace(model, example)` finds and proves which axes of a network's parameters and buffers
move together when hidden units are reordered; `spec.apply(permutation, state_dict)` reorders them. Errors
that name what is not understood are `raysweep.errors.SpecError`.
"""

from raysweep.symmetry.left_alone import LeftAlone
from raysweep.symmetry.permutation import Permutation
from raysweep.symmetry.proof import prove
from raysweep.symmetry.reading import read_in_training_only
from raysweep.symmetry.spec import PermutationSpec

__all__ = ["LeftAlone", "Permutation", "PermutationSpec", "prove", "read_in_training_only"]
