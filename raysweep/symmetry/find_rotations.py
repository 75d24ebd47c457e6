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
from raysweep.symmetry.randomised import RandomisedNetwork, randomised_network, under_all_names
from raysweep.symmetry.rotation import Folding, Rotation, folded_state, rotated_state
from raysweep.symmetry.structure import Structure

MIXED = 8  # units of a block, in a rotation that is tried; with permutations it generates all others
TURNED = 24  # units, at least, in the rotations that are tried with the same weights
ENTRIES, MOST = 4096, 16  # of the inputs that are drawn, at least, unless these are so many examples
SEEN = 32  # units times examples, at least, that are tried: all of a few may be active in a ReLU
EQUATIONS = 2  # at least so many, of random weights, for each unknown exponent of a scaling


def find_rotations(spec: Structure, model: nn.Module, example_input: torch.Tensor) -> dict[str, Rotation]:
    """Return, by group, the rotations of units that leave the outputs of a network as they are.

    Units in blocks are rotated inside each block. Everything that is returned is proved. Raises `SpecError`
    for a network whose outputs are zero.
    """
    generator = torch.Generator().manual_seed(seed_for("rotations"))
    few = min(MOST, math.ceil(ENTRIES / example_input[0].numel()))
    examples = example_input.repeat(math.ceil(few / len(example_input)), *(1,) * (example_input.dim() - 1))
    networks = [randomised_network(model, examples, generator)]
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
    """Return the rotations that hold with further weights, where one draw of them is not enough."""
    seen = {group: _mixed(spec, group, rotation) * len(examples) for group, rotation in found.items()}
    held, draw = dict(found), 1
    while again := [group for group in held if draw * seen[group] < SEEN]:
        network, draw = randomised_network(model, examples, generator), draw + 1
        for group in again:
            if not _holds(spec, network, group, held[group], generator):
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
    axes = {name: axes for name, axes in spec.axes.items() if name in network.state}
    rotations, size = {group: rotation}, spec.sizes[group]
    folded = folded_state(network.state, axes, rotations)
    for number in range(math.ceil(TURNED / _mixed(spec, group, rotation))):
        matrices = {group: rotation.random(size, generator, MIXED)}
        changed = rotated_state(folded, axes, rotations, matrices)
        # Heads that share units are no units that could be rotated: nothing is touched.
        touched = {name: tensor for name, tensor in changed.items() if tensor is not network.state[name]}
        if not network.keeps(touched) or (number == 0 and network.is_silent(touched)):
            return False
    return True
