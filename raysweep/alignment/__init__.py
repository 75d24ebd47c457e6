"""Permutations that bring one network close to another."""

from raysweep.alignment.diagnostics import LayerSimilarity, layer_similarities
from raysweep.alignment.joint import JointAlignment, joint_matching
from raysweep.alignment.weight_matching import Alignment, weight_matching

__all__ = [
    "Alignment",
    "JointAlignment",
    "LayerSimilarity",
    "joint_matching",
    "layer_similarities",
    "weight_matching",
]
