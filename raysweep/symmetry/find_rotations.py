"""Finds how the hidden units of a network can be rotated, and proves it.

Whether units can be rotated is tried: random orthogonal matrices leave the outputs of a network with random
weights as they are, in float64, or the units have no rotations. Gains of norms that stand in the way are
found, with the weights that read them, as a scaling of units is: by the gradients of random weights.
"""

from typing import TYPE_CHECKING

import torch
from torch import nn

from raysweep.digest import seed_for
from raysweep.symmetry.axes import Within, groups_of
from raysweep.symmetry.find_scalings import Occurrence, infinitesimal_scalings, occurrences
from raysweep.symmetry.randomised import RandomisedNetwork, randomised_network, under_all_names
from raysweep.symmetry.rotation import Folding, Rotation, folded_state, rotated_state

if TYPE_CHECKING:
    from raysweep.symmetry.spec import PermutationSpec

MIXED = 8  # units of a block, in a rotation that is tried; with permutations it generates all others
EQUATIONS = 2  # at least so many, of random weights, for each unknown exponent of a scaling


def find_rotations(
    spec: "PermutationSpec", model: nn.Module, example_input: torch.Tensor
) -> dict[str, Rotation]:
    """Return, by group, the rotations of units that leave the outputs of a network as they are.

    Units in blocks are rotated inside each block. Everything that is returned is proved. Raises `SpecError`
    for a network whose outputs are zero.
    """
    generator = torch.Generator().manual_seed(seed_for("rotations"))
    networks = [randomised_network(model, example_input, generator)]
    counts = {group: each.count for each in spec.blocks for group in each.groups}
    found = {}
    for group, size in spec.sizes.items():
        blocks = counts.get(group, 1)
        if size == blocks or _lies_within(spec, group):
            continue
        if _holds(spec, networks[0], group, Rotation(blocks), generator):
            found[group] = Rotation(blocks)
            continue
        where = occurrences(spec, networks[0], group)
        while len(networks) * size < EQUATIONS * len(where):
            networks.append(randomised_network(model, example_input, generator))
        foldings = tuple(
            Folding(each.gain, under_all_names(model, each.exponents))
            for each in _foldings(spec, networks, group, where)
        )
        # Rotations of two units that keep their mean are the permutations.
        for keeps_mean in (False, True) if size > 2 * blocks else (False,):
            rotation = Rotation(blocks, foldings, keeps_mean)
            if _holds(spec, networks[0], group, rotation, generator):
                found[group] = rotation
                break
    return found


def _lies_within(spec: "PermutationSpec", group: str) -> bool:
    """Whether a weight has other units of the group in each block of its rows."""
    every = (axis for axes in spec.axes.values() for axis in axes)
    return any(isinstance(axis, Within) and group in groups_of(axis) for axis in every)


def _foldings(
    spec: "PermutationSpec", networks: list[RandomisedNetwork], group: str, where: list[Occurrence]
) -> tuple[Folding, ...]:
    """Return the gains that other weights can be multiplied by instead.

    A gain of a norm comes before its bias, which is then divided by the gain. Only parameters of one axis are
    gains.
    """
    if not where:
        return ()
    vectors = [w for w in where if len(spec.axes[w[0]]) == 1]
    rest = [w for w in where if w not in vectors]
    found = []
    for exponents in infinitesimal_scalings(spec, networks, group, [*vectors, *rest]):
        gain = next(iter(exponents))
        opposite = {where: -exponent for where, exponent in exponents.items() if where != gain}
        if gain in vectors and any(each in rest and e > 0 for each, e in opposite.items()):
            found.append(Folding(gain[0], opposite))
    return tuple(found)


def _holds(
    spec: "PermutationSpec",
    network: RandomisedNetwork,
    group: str,
    rotation: Rotation,
    generator: torch.Generator,
) -> bool:
    """Whether the outputs stay as they are when gains are folded and the units are rotated at random."""
    axes = {name: axes for name, axes in spec.axes.items() if name in network.state}
    rotations = {group: rotation}
    matrices = {group: rotation.random(spec.sizes[group], generator, MIXED)}
    folded = folded_state(network.state, axes, rotations)
    changed = rotated_state(folded, axes, rotations, matrices)
    touched = {name: tensor for name, tensor in changed.items() if tensor is not network.state[name]}
    # Heads that share units are no units that could be rotated: nothing is touched.
    return bool(touched) and network.effect(touched).change <= network.threshold
