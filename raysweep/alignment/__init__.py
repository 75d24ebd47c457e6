"""Permutations that bring one network close to another."""

from raysweep.alignment.activation_matching import Activations, activation_matching, collect_activations
from raysweep.alignment.diagnostics import LayerSimilarity, layer_similarities
from raysweep.alignment.joint import JointAlignment, joint_matching
from raysweep.alignment.weight_matching import Alignment, weight_matching

__all__ = [
    "Activations",
    "Alignment",
    "JointAlignment",
    "LayerSimilarity",
    "activation_matching",
    "collect_activations",
    "joint_matching",
    "layer_similarities",
    "weight_matching",
]
