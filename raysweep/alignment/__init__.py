"""Permutations that bring one network close to another."""

from raysweep.alignment.activation_matching import Activations, activation_matching, collect_activations
from raysweep.alignment.diagnostics import LayerSimilarity, layer_similarities
from raysweep.alignment.embedding import Embedding, embed
from raysweep.alignment.hybrids import bottom_up, hybrid, one_in, one_out, top_down
from raysweep.alignment.joint import JointAlignment, joint_matching
from raysweep.alignment.weight_matching import Alignment, weight_matching

__all__ = [
    "Activations",
    "Alignment",
    "Embedding",
    "JointAlignment",
    "LayerSimilarity",
    "activation_matching",
    "bottom_up",
    "collect_activations",
    "embed",
    "hybrid",
    "joint_matching",
    "layer_similarities",
    "one_in",
    "one_out",
    "top_down",
    "weight_matching",
]
