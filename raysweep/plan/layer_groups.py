"""What a plan must know of the layer groups of a network: their hidden units, blocks and layers."""

from functools import lru_cache
from typing import TYPE_CHECKING

from raysweep.errors import SpecError
from raysweep.models.config import ModelConfig
from raysweep.plan.own_networks import EXAMPLES
from raysweep.plan.probes import fact_of

if TYPE_CHECKING:  # it imports torch, which a plan whose facts are known does without
    from raysweep.symmetry import PermutationSpec

Partners = tuple[int, tuple[str, ...]]  # the number of blocks, and the groups whose units lie in them


@lru_cache(maxsize=64)
def group_sizes(config: ModelConfig) -> dict[str, int]:
    """Return the layer groups with their numbers of units, in order. Raises `SpecError`."""
    return dict(fact_of("groups", config, _groups))


def _groups(config: ModelConfig) -> list[tuple[str, int]]:
    return list(unproved_spec(config).sizes.items())


@lru_cache(maxsize=64)
def group_blocks(config: ModelConfig) -> tuple[Partners, ...]:
    """Return the layer groups whose units lie in blocks; none for a network without a spec."""
    return tuple((count, tuple(groups)) for count, groups in fact_of("blocks", config, _blocks))


def _blocks(config: ModelConfig) -> list[Partners]:
    try:
        return [(each.count, each.groups) for each in unproved_spec(config).blocks]
    except SpecError:
        return []


def layers_of_groups(config: ModelConfig) -> tuple[tuple[str, ...], ...]:
    """Return the layer groups of each layer: those whose blocks move alike form one. Raises `SpecError`."""
    partners = {group: groups for _, groups in group_blocks(config) for group in groups}
    return tuple(dict.fromkeys(partners.get(group, (group,)) for group in group_sizes(config)))


@lru_cache(maxsize=64)
def unproved_spec(config: ModelConfig) -> "PermutationSpec":
    """Return the symmetries of a network; the workers prove them. Raises `SpecError`."""
    import torch

    from raysweep.models.build import build
    from raysweep.symmetry import PermutationSpec

    return PermutationSpec.trace(build(config), torch.zeros(EXAMPLES, *config.shape), proved=False)
