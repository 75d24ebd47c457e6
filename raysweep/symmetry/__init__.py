"""Permutation symmetries of networks: specs found by tracing, and permutations and their algebra."""

from raysweep.symmetry.permutation import Permutation
from raysweep.symmetry.proof import prove
from raysweep.symmetry.spec import PermutationSpec

__all__ = ["Permutation", "PermutationSpec", "prove"]
