"""Finds how the hidden units of a network can be rotated, and proves it.

Whether units can be rotated is tried: random orthogonal matrices leave the outputs of a network with random
weights as they are, in float64, or the units have no rotations. Gains of norms that stand in the way are
found, with the weights that read them, as a scaling of units is: by the gradients of random weights.
"""

import math
from collections.abc import Mapping

import torch
from torch import nn

from raysweep.digest import seed_for
from raysweep.symmetry.axes import Segment, Within, groups_of
from raysweep.symmetry.find_scalings import Occurrence, infinitesimal_scalings, occurrences
from raysweep.symmetry.gradients import State
from raysweep.symmetry.randomised import (
    RandomisedNetwork,
    enough_examples,
    randomised_network,
    signed_network,
    under_all_names,
)
from raysweep.symmetry.rotation import Folding, Rotation, folded_state, rotated_state
from raysweep.symmetry.structure import Structure

MIXED = 8  # units of a block, in a rotation that is tried; with permutations it generates all others
TURNED = 24  # units, at least, in the rotations that are tried: a few may all be active in a ReLU
EQUATIONS = 2  # at least so many, of random weights, for each unknown exponent of a scaling


def find_rotations(spec: Structure, model: nn.Module, example_input: torch.Tensor) -> dict[str, Rotation]:
    """Return, by group, the rotations of units that leave the outputs of a network as they are.

    Units in blocks are rotated inside each block; those with bounds have no rotations, although random units
    may not reach them. Everything that is returned is proved. Raises `SpecError` for a network whose outputs
    are zero, and for one without gradients where these have to find gains.
    """
    generator = torch.Generator().manual_seed(seed_for("rotations"))
    examples = enough_examples(example_input)
    networks = [randomised_network(model, examples, generator)]
    counts = {group: each.count for each in spec.blocks for group in each.groups}
    found = {}
    for group, size in spec.sizes.items():
        blocks = counts.get(group, 1)
        if size == blocks or group in spec.bounded or _lies_within(spec, group):
            continue
        if _holds(spec, networks[0], group, Rotation(blocks), generator):
            found[group] = Rotation(blocks)
            continue
        where = occurrences(spec, networks[0], group)
        while len(networks) * size < EQUATIONS * len(where):
            networks.append(randomised_network(model, examples, generator))
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
    return _tried_again(spec, model, examples, found, generator)


def _tried_again(
    spec: Structure,
    model: nn.Module,
    examples: torch.Tensor,
    found: Mapping[str, Rotation],
    generator: torch.Generator,
) -> dict[str, Rotation]:
    """Return the rotations that hold with further weights too, of which a few units need several draws."""
    held, draw = dict(found), 0
    while again := {g: each for g, each in held.items() if draw * spec.sizes[g] < TURNED}:
        network, draw = signed_network(model, examples, generator), draw + 1
        # All at once take one run of the network; each on its own says which of them do not hold.
        if not network.keeps(_turned(spec, network, again, TURNED, generator)):
            for group, rotation in again.items():
                if not network.keeps(_turned(spec, network, {group: rotation}, TURNED, generator)):
                    del held[group]
    return held


def _mixed(spec: Structure, group: str, rotation: Rotation) -> int:
    """Return how many units one of the rotations that are tried mixes."""
    return min(spec.sizes[group], MIXED * rotation.blocks)


def _lies_within(spec: Structure, group: str) -> bool:
    """Whether a weight has other units of the group in each block of its rows."""
    every = (axis for axes in spec.axes.values() for axis in axes)
    return any(isinstance(axis, Within) and group in groups_of(axis) for axis in every)


def _foldings(
    spec: Structure, networks: list[RandomisedNetwork], group: str, where: list[Occurrence]
) -> tuple[Folding, ...]:
    """Return the gains that other weights can be multiplied by instead.

    A gain of a norm comes before its bias, which is then divided by the gain. Only parameters of one axis are
    gains.
    """
    if not where:
        return ()
    vectors = [w for w in where if len(spec.axes[w[0]]) == 1]
    whole = (Segment(group, spec.sizes[group]),)
    rest = [w for w in where if w not in vectors]
    found = []
    for exponents in infinitesimal_scalings(spec, networks, group, [*vectors, *rest]):
        gain = next(iter(exponents))
        opposite = {where: -exponent for where, exponent in exponents.items() if where != gain}
        own = spec.axes[gain[0]][0]
        fits = own == whole or all(spec.axes[name][dimension] == own for name, dimension in opposite)
        if fits and gain in vectors and any(each in rest and e > 0 for each, e in opposite.items()):
            found.append(Folding(gain[0], opposite))
    return tuple(found)


def _holds(
    spec: Structure,
    network: RandomisedNetwork,
    group: str,
    rotation: Rotation,
    generator: torch.Generator,
) -> bool:
    """Whether the outputs stay as they are when gains are folded and the units are rotated at random."""
    for number in range(math.ceil(TURNED / _mixed(spec, group, rotation))):
        touched = _turned(spec, network, {group: rotation}, MIXED, generator)
        if not network.keeps(touched) or (number == 0 and network.is_silent(touched)):
            return False
    return True


def _turned(
    spec: Structure,
    network: RandomisedNetwork,
    rotations: Mapping[str, Rotation],
    mixed: int,
    generator: torch.Generator,
) -> State:
    """Return the tensors that change when gains are folded and so many units of each block are rotated."""
    axes = {name: axes for name, axes in spec.axes.items() if name in network.state}
    folded = folded_state(network.state, axes, rotations)
    matrices = {
        group: rotation.random(spec.sizes[group], generator, mixed) for group, rotation in rotations.items()
    }
    changed = rotated_state(folded, axes, rotations, matrices)
    # Heads that share units are no units that could be rotated: nothing is touched.
    return {name: tensor for name, tensor in changed.items() if tensor is not network.state[name]}
