"""Permutations that bring one network close to another."""

from raysweep.alignment.weight_matching import Alignment, weight_matching

__all__ = ["Alignment", "weight_matching"]
