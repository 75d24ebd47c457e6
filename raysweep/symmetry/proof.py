"""The numerical proof that a spec describes symmetries of a network."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from raysweep.digest import seed_for
from raysweep.errors import SpecError
from raysweep.symmetry.groups import Axis
from raysweep.symmetry.permutation import Permutation
from raysweep.symmetry.randomised import RandomisedNetwork, randomised_network, single_names
from raysweep.symmetry.spec import PermutationSpec, axis_index

DRAWS = 16  # of the random weights, until every axis has had an effect; wide networks need one


@dataclass(frozen=True)
class _Place:
    """One axis of one parameter or buffer along which a group lies."""

    group: str
    name: str
    dimension: int
    axis: Axis


def prove(spec: PermutationSpec, model: nn.Module, example_input: torch.Tensor) -> None:
    """Check that every group, moved alone, leaves the network's outputs unchanged.

    All parameters and buffers are randomised first, in float64, because norm scales of one, zero
    biases and zero heads would make the check vacuous; the outputs must not be zero; and moving the same
    group along any one axis alone must change them. Units may be silent by chance in very narrow networks,
    so an axis without effect is tried again in another draw. Raises `SpecError` naming the group.
    """
    generator = torch.Generator().manual_seed(seed_for("proof"))
    places = list(_places(spec, model))
    for _ in range(DRAWS):
        network = randomised_network(model, example_input, generator)
        places = [place for group in spec.sizes for place in _idle(spec, network, group, places, generator)]
        if not places:
            return
    raise SpecError(
        f"group {places[0].group}: axis {places[0].dimension} of {places[0].name} has no effect, "
        "so nothing is proved (a bias that the next norm subtracts again is best left out)"
    )


def _places(spec: PermutationSpec, model: nn.Module) -> Iterator[_Place]:
    for name in single_names(model):
        for dimension, axis in enumerate(spec.axes[name]):
            for group in dict.fromkeys(segment.group for segment in axis or ()):
                if axis is not None and group is not None:
                    yield _Place(group, name, dimension, axis)


def _idle(
    spec: PermutationSpec,
    network: RandomisedNetwork,
    group: str,
    places: list[_Place],
    generator: torch.Generator,
) -> list[_Place]:
    """Check that moving a group changes nothing; return those of its places that have no effect alone."""
    own = [place for place in places if place.group == group]
    if not own:
        return []
    permutation = _moved(spec, group, generator)
    single = PermutationSpec({name: spec.axes[name] for name in network.state}, spec.sizes, spec.buffers)
    change = (network.evaluate(single.apply(permutation, network.state)) - network.outputs).abs().max().item()
    if not change <= network.threshold:
        raise SpecError(f"group {group}: reordering its units changes the network's outputs by {change:.2g}")
    return [place for place in own if not _has_effect(network, place, permutation)]


def _has_effect(network: RandomisedNetwork, place: _Place, permutation: Permutation) -> bool:
    """Whether the outputs change when a group moves along one axis of one tensor alone.

    One gradient answers this for all axes: the outputs' derivative along the move is not zero. Where it is
    zero the move itself is tried, because that does not exclude an effect.
    """
    values = network.state[place.name]
    gradient = network.gradients.get(place.name)
    if gradient is not None and abs(_derivative(values, gradient, place, permutation)) > network.threshold:
        return True
    moved = values.index_select(place.dimension, axis_index(place.axis, permutation))
    return (
        network.evaluate({**network.state, place.name: moved}) - network.outputs
    ).abs().max().item() > network.threshold


def _derivative(
    values: torch.Tensor, gradient: torch.Tensor, place: _Place, permutation: Permutation
) -> float:
    """The inner product of the gradient with the change that moving the group's segments makes."""
    total, offset = 0.0, 0
    for segment in place.axis:
        if segment.group == place.group:
            part = values.narrow(place.dimension, offset, segment.size)
            change = part.index_select(place.dimension, axis_index((segment,), permutation)) - part
            total += (gradient.narrow(place.dimension, offset, segment.size) * change).sum().item()
        offset += segment.size
    return total


def _moved(spec: PermutationSpec, group: str, generator: torch.Generator) -> Permutation:
    """A permutation that rotates and shuffles one group, never the identity, and leaves the others."""
    indices = dict(Permutation.identity(spec.sizes).indices)
    shuffle = torch.randperm(spec.sizes[group], generator=generator)
    indices[group] = shuffle[(shuffle.argsort() + 1) % len(shuffle)]
    return Permutation(indices)
