"""Permutations that bring one network close to another.

`weight_matching` (Ainsworth et al. 2023, arXiv 2209.04836; kernels and stacks as in Sharma et al. 2024, arXiv
2404.06498) takes state dicts and the spec of their architecture; `activation_matching` (Li et al. 2015, arXiv
1511.07543; Tatro et al. 2020, arXiv 2009.02439) takes modules and images. `joint_matching` and
`joint_activation_matching` give n networks one permutation each. `orthogonal_matching` (Zhang et al. 2025,
arXiv 2502.00264; Theus et al. 2025, arXiv 2506.22712) rotates units, too. `frank_wolfe` (Crisostomi et al.
2024, C2M3, arXiv 2405.17897), `sinkhorn_rebasin` (Pena et al. 2023, arXiv 2212.12042) and `straight_through`
(Ainsworth et al. 2023; Ito et al. 2025) return permutations alone. All others return a `Permutation`, which
`PermutationSpec.apply` carries out, and the objective that it reaches.
"""

from raysweep.alignment.activation_matching import (
    activation_matching,
    match_activations,
    match_similarities,
    recorded_similarities,
    unit_similarities,
)
from raysweep.alignment.diagnostics import LayerSimilarity, joint_similarities, layer_similarities
from raysweep.alignment.embedding import Embedding, embed
from raysweep.alignment.frank_wolfe import frank_wolfe
from raysweep.alignment.hybrids import hybrid
from raysweep.alignment.joint import JointAlignment, joint_matching
from raysweep.alignment.joint_activations import joint_activation_matching, match_jointly
from raysweep.alignment.learned import learned
from raysweep.alignment.monomial_matching import monomial_matching
from raysweep.alignment.orthogonal_matching import orthogonal_matching
from raysweep.alignment.padding import pad, prove_padding
from raysweep.alignment.partial_matching import (
    branch_matching,
    inner_matching,
    joint_branch_matching,
    joint_inner_matching,
)
from raysweep.alignment.sinkhorn_rebasin import sinkhorn_rebasin
from raysweep.alignment.straight_through import straight_through
from raysweep.alignment.weight_matching import Alignment, weight_matching

__all__ = [
    "Alignment",
    "Embedding",
    "JointAlignment",
    "LayerSimilarity",
    "activation_matching",
    "branch_matching",
    "embed",
    "frank_wolfe",
    "hybrid",
    "inner_matching",
    "joint_activation_matching",
    "joint_branch_matching",
    "joint_inner_matching",
    "joint_matching",
    "joint_similarities",
    "layer_similarities",
    "learned",
    "match_activations",
    "match_jointly",
    "match_similarities",
    "monomial_matching",
    "orthogonal_matching",
    "pad",
    "prove_padding",
    "recorded_similarities",
    "sinkhorn_rebasin",
    "straight_through",
    "unit_similarities",
    "weight_matching",
]
