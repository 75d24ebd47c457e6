"""The numerical proof that a spec describes symmetries of a network."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from raysweep.digest import seed_for
from raysweep.errors import SpecError
from raysweep.models.measurable import unmeasurable
from raysweep.symmetry.axes import Axis, Within, groups_of, starts
from raysweep.symmetry.blocks import block_index, together
from raysweep.symmetry.gradients import State
from raysweep.symmetry.permutation import Permutation
from raysweep.symmetry.randomised import RandomisedNetwork, enough_examples, randomised_network, single_names
from raysweep.symmetry.rerun import Result
from raysweep.symmetry.selection import selected
from raysweep.symmetry.structure import Structure

DRAWS = 16  # of the random weights, until every axis has had an effect; wide networks need one
EXCHANGED = 8  # pairs of units by whose exchange an axis is tried; some of them are not silent


@dataclass(frozen=True)
class _Occurrence:
    """One axis of one parameter or buffer along which a group lies."""

    group: str
    name: str
    dimension: int
    axis: Axis | Within


def prove(spec: Structure, model: nn.Module, example_input: torch.Tensor) -> None:
    """Check that every group, moved alone, leaves the network's outputs unchanged.

    Groups whose blocks move together are moved at once: the blocks, and the units inside each of them.

    All parameters and buffers are randomised first, in float64, because norm scales of one, zero biases and
    zero heads would make the check vacuous; the outputs must not be zero; and moving the same group along any
    one axis alone must change them. Units may be silent by chance in very narrow networks, so an axis without
    effect is tried again in another draw. In the end it may be without one if its tensor is redundant beside
    another one of its module, as a bias is that the next norm subtracts. When one group moves, only the parts
    that it reaches are run again; in the end the whole network runs with all groups moved. The model is not
    changed.

    In a deep network the outputs may depend on a layer by less than rounding. The values between its calls
    take their place then: those that stay as they are when the group moves must change, by `CLEAR`, when it
    moves along one axis alone. This needs a group whose move ends abruptly, and is not asked of one whose
    effect fades away over several calls.

    Raises `SpecError`, naming the group, for outputs that change or are zero, and for a network that is not a
    function of each example (`unmeasurable`).
    """
    problem = unmeasurable(model, example_input)
    if problem:
        raise SpecError(f"{type(model).__name__}: {problem}")
    generator = torch.Generator().manual_seed(seed_for("proof"))
    occurrences, examples = list(_occurrences(spec, model)), enough_examples(example_input)
    for draw in range(DRAWS):
        network = randomised_network(model, examples, generator)
        moves = together(spec.sizes, spec.blocks)
        occurrences = [
            where for groups in moves for where in _idle(spec, network, groups, occurrences, generator)
        ]
        if draw == 0:
            _check_together(spec, network, generator)
        if not occurrences:
            return
    lost = [each for each in occurrences if not _is_redundant(each, occurrences, spec, model)]
    if lost:
        raise SpecError(
            f"group {lost[0].group}: axis {lost[0].dimension} of {lost[0].name} has no effect: with random "
            "weights no change of it reaches the outputs, so nothing is proved and nothing disproved; "
            f"{_why_lost(model)}; PermutationSpec.trace(..., proved=False) does without a proof"
        )


def _why_lost(model: nn.Module) -> str:
    parametrised = [name for name, module in model.named_modules() if is_parametrized(module)]
    if parametrised:
        return (
            f"a parametrisation such as that of {parametrised[0] or 'the network'} may be constant at them, "
            "as an orthogonal one by reflections is (orthogonal_map='householder'), whose diagonal is "
            "rounded to 0; the maps 'cayley' and 'matrix_exp' are not"
        )
    return (
        "the signal is lost on the way, as in very deep networks without norms or residual connections and "
        "in nonlinearities that are constant far from 0. A norm keeps it"
    )


def _is_redundant(where: _Occurrence, idle: list[_Occurrence], spec: Structure, model: nn.Module) -> bool:
    """Whether an axis without effect has none because what follows takes away what its tensor adds.

    A bias that the next norm subtracts again is an example. Another tensor of the same module has an effect
    along the same units then, so that its signal is not lost on the way.
    """
    silent = {(each.name, each.dimension) for each in idle}
    return any(
        (other.name, other.dimension) not in silent
        and other.group == where.group
        and other.name.rpartition(".")[0] == where.name.rpartition(".")[0]
        for other in _occurrences(spec, model)
    )


def _check_together(spec: Structure, network: RandomisedNetwork, generator: torch.Generator) -> None:
    """Check that all groups together, moved in the whole network, leave its outputs as they are.

    Unlike `RandomisedNetwork.change`, this does not rely on the trace of the network.
    """
    changed = _changed(spec, network, spec.random(generator))
    with torch.no_grad():
        change = (network.evaluate({**network.state, **changed}) - network.outputs).abs().max().item()
    if not change <= network.threshold:
        raise SpecError(f"reordering the units of all groups changes the network's outputs by {change:.2g}")


def _occurrences(spec: Structure, model: nn.Module) -> Iterator[_Occurrence]:
    for name in single_names(model):
        for dimension, axis in enumerate(spec.axes.get(name, ())):
            if axis is not None:
                for group in groups_of(axis):
                    yield _Occurrence(group, name, dimension, axis)


def _idle(
    spec: Structure,
    network: RandomisedNetwork,
    groups: tuple[str, ...],
    occurrences: list[_Occurrence],
    generator: torch.Generator,
) -> list[_Occurrence]:
    """Check that moving groups changes nothing; return where they have no effect when moved there alone."""
    own = [where for where in occurrences if where.group in groups]
    if not own:
        return []
    permutation = _moved(spec, groups, generator)
    effect = network.effect(_changed(spec, network, permutation))
    if not effect.change <= network.threshold:
        kind, whose = ("group", "its") if len(groups) == 1 else ("groups", "their")
        raise SpecError(
            f"{kind} {', '.join(groups)}: reordering {whose} units changes the network's outputs by "
            f"{effect.change:.2g}"
        )
    still = {**permutation.indices, **{group: torch.arange(spec.sizes[group]) for group in groups}}
    alone = {group: {**still, group: permutation.indices[group]} for group in groups}
    return [
        where for where in own if not _has_effect(spec, network, where, alone[where.group], effect.reached)
    ]


def _changed(spec: Structure, network: RandomisedNetwork, permutation: Permutation) -> State:
    """Return the tensors that a permutation changes, each under its first name."""
    moving = permutation.moving()
    axes = {
        name: spec.axes[name]
        for name in network.state
        if any(not moving.isdisjoint(groups_of(axis)) for axis in spec.axes.get(name, ()))
    }
    return replace(spec, axes=axes).apply(permutation, {name: network.state[name] for name in axes})


def _has_effect(
    spec: Structure,
    network: RandomisedNetwork,
    where: _Occurrence,
    indices: Mapping[str, torch.Tensor],
    reached: Mapping[Result, float],
) -> bool:
    """Whether moving a group, as `indices` say, along one axis of one tensor alone has an effect on a result
    that stays as it is when the group moves along all of its axes; those that do not are `reached`.

    Mostly one gradient answers this for all axes: the outputs' derivative along the move is not zero. Where
    it is zero, as in deep networks in which the signal is lost on the way, the move is followed from call to
    call. Units in blocks are not exchanged in pairs, which may lie in unlike blocks.
    """
    gradient, tensor = network.gradients.get(where.name), network.state[where.name]
    free = not any(where.group in each.groups for each in spec.blocks)
    if gradient is not None and free and isinstance(where.axis, tuple):
        if abs(_derivative(network, gradient, where, where.axis)) > network.audible:
            return True
        gradient = None
    along = [dimension == where.dimension for dimension in range(tensor.dim())]
    moved = selected(tensor, spec.axes[where.name], indices, along)
    if torch.equal(moved, tensor):
        return True  # equal integers, which are not drawn: every order of them is the same
    if gradient is not None and (gradient * (moved - tensor)).sum().abs() > network.audible:
        return True
    return network.is_heard({where.name: moved}, beyond=reached)


def _derivative(network: RandomisedNetwork, gradient: torch.Tensor, where: _Occurrence, axis: Axis) -> float:
    """Return the derivative along the exchange of units 0 and 1, 2 and 3, ... (`EXCHANGED` pairs at most).

    It is the sum of -<g_a - g_b, w_a - w_b> over the pairs, of gradients g and weights w of the units a and
    b. A few units are enough; all of a wide layer would take longer than running the network.
    """
    total = 0.0
    for offset, segment in starts(axis):
        if segment.group == where.group:
            pairs = min(segment.size // segment.repeat // 2, EXCHANGED)
            differences = []
            for each in (network.state[where.name], gradient):
                part = each.narrow(where.dimension, offset, 2 * pairs * segment.repeat)
                by_unit = part.unflatten(where.dimension, (pairs, 2, segment.repeat))
                differences.append(by_unit.diff(dim=where.dimension + 1))
            total -= (differences[0] * differences[1]).sum().item()
    return total


def _moved(spec: Structure, groups: tuple[str, ...], generator: torch.Generator) -> Permutation:
    """Return a permutation that moves every unit of these groups and leaves the other groups in place."""
    indices = dict(Permutation.identity(spec.sizes).indices)
    count = next((each.count for each in spec.blocks if each.groups == groups), 1)
    order = _rotated(count, generator)
    for group in groups:
        inside = [_rotated(spec.sizes[group] // count, generator) for _ in order]
        indices[group] = block_index(order, torch.stack(inside))
    return Permutation(indices)


def _rotated(size: int, generator: torch.Generator) -> torch.Tensor:
    """Return a rotation of shuffled entries: none stays in place, unless there is only one."""
    shuffle = torch.randperm(size, generator=generator)
    return shuffle[(shuffle.argsort() + 1) % size]
