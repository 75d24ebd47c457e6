"""Weight matching of some kinds of layer groups, to tell what each kind contributes.

`inner_matching` permutes the units of feed-forward layers alone, as papers on transformers did first;
`branch_matching` permutes attention heads and the units inside them too. What `weight_matching` adds to that
are the residual streams.
"""

from collections.abc import Sequence

from raysweep.alignment.joint import JointAlignment, joint_matching
from raysweep.alignment.weight_matching import Alignment, check_spec, weight_matching
from raysweep.models.given import Network
from raysweep.symmetry import Kind, PermutationSpec


def inner_matching(
    spec: PermutationSpec, target: Network, source: Network, seed: int = 0, *, order: str = "random"
) -> Alignment:
    """Match the units of kind `Kind.INNER`; all others stay in place. See `weight_matching`."""
    return weight_matching(spec, target, source, seed, order=order, groups=_of(spec, Kind.INNER))


def branch_matching(
    spec: PermutationSpec, target: Network, source: Network, seed: int = 0, *, order: str = "random"
) -> Alignment:
    """Match all units but those of residual streams, which stay in place. See `weight_matching`."""
    return weight_matching(spec, target, source, seed, order=order, groups=_of(spec, Kind.INNER, Kind.BLOCKS))


def joint_inner_matching(
    spec: PermutationSpec, networks: Sequence[Network], seed: int = 0, *, order: str = "random"
) -> JointAlignment:
    """Match the units of kind `Kind.INNER` of several networks. See `joint_matching`."""
    return joint_matching(spec, networks, seed, order=order, groups=_of(spec, Kind.INNER))


def joint_branch_matching(
    spec: PermutationSpec, networks: Sequence[Network], seed: int = 0, *, order: str = "random"
) -> JointAlignment:
    """Match all units but those of residual streams of several networks. See `joint_matching`."""
    return joint_matching(spec, networks, seed, order=order, groups=_of(spec, Kind.INNER, Kind.BLOCKS))


def _of(spec: PermutationSpec, *kinds: Kind) -> list[str]:
    check_spec(spec)
    return [group for group in spec.sizes if spec.kind(group) in kinds]
