"""Finds how the hidden units of a network can be scaled, from gradients, and proves it.

A network whose outputs f do not change when w_o -> d ** e_o * w_o, for the weights w_o of a unit along each
axis o, satisfies sum_o e_o <w_o, df/dw_o> = 0 at all weights (Kunin et al. 2021, arXiv 2012.04728). The
exponents of a group are therefore the null space of a matrix of such products, with a row for each unit.
"""

import math
from collections.abc import Iterator, Mapping
from itertools import combinations, product

import torch
from torch import nn

from raysweep.digest import seed_for
from raysweep.errors import SpecError
from raysweep.symmetry.axes import Shared, Within, groups_of, segments
from raysweep.symmetry.operations import BOUNDED
from raysweep.symmetry.randomised import (
    RandomisedNetwork,
    enough_examples,
    randomised_network,
    signed_network,
    under_all_names,
)
from raysweep.symmetry.scaling import Scaling, by_unit, scaled_state
from raysweep.symmetry.structure import Structure

DRAWS = 3  # of random weights, at least, at which the products are taken
UNITS = 24  # times draws, at least: a few may all be active in a ReLU, or too small for a bound
RANGE = 4.0  # logarithm of the largest factor that is tried, so that units come to the bounds of ReLU6
FAR = (math.exp(6), math.exp(12))  # times as large are units with bounds tried too, which may be out of reach
TOLERANCE = 1e-9  # relative, of singular values and of exponents
MOST_FLIPPED = 5  # axes of a group of which all subsets are tried for signs; of more axes only all together
Occurrence = tuple[str, int]  # a tensor, and the axis along which a group lies


def find_scalings(spec: Structure, model: nn.Module, example_input: torch.Tensor) -> dict[str, Scaling]:
    """Return, by group, the scales and signs of units that leave the outputs of a network as they are.

    Groups in blocks have none here. Where the units of a group can be scaled in several ways (at two places
    between which nothing but a product lies), one is returned. Everything that is returned is proved: with
    random factors the outputs, in float64, stay as they are. Raises `SpecError` for a network whose outputs
    are zero, and for one without gradients.
    """
    generator = torch.Generator().manual_seed(seed_for("scalings"))
    examples = enough_examples(example_input)
    drawn = [randomised_network(model, examples, generator)]
    inside = {group for each in spec.blocks for group in each.groups}
    found = {}
    for group, size in spec.sizes.items():
        where = occurrences(spec, drawn[0], group)
        if group in inside or not where:
            continue
        enough = max(DRAWS, math.ceil(UNITS / size))
        drawn += [signed_network(model, examples, generator) for _ in range(enough - len(drawn))]
        networks = drawn[:enough]
        exponents = _exponents(spec, networks, group, where)
        scales, signs = ([draw(size, generator) for _ in networks] for draw in (_scales, _signs))
        positive = bool(exponents) and _holds(spec, networks, group, exponents, scales)
        flipped = next(
            (each for each in _patterns(where, exponents) if _holds(spec, networks, group, each, signs)),
            {},
        )
        if positive or flipped:
            both = positive and flipped == exponents
            chosen = under_all_names(model, exponents if positive else flipped)
            found[group] = Scaling(chosen, positive, both or not positive)
    return found


def occurrences(spec: Structure, network: RandomisedNetwork, group: str) -> list[Occurrence]:
    """Return the axes along which a group lies, buffers first; none where one of them has blocks of rows, or
    heads that share units."""
    found = []
    for name in network.state:
        for dimension, axis in enumerate(spec.axes.get(name, ())):
            if group in groups_of(axis):
                if isinstance(axis, Within) or any(isinstance(each, Shared) for each in segments(axis)):
                    return []
                found.append((name, dimension))
    return sorted(found, key=lambda each: each[0] not in spec.buffers)


def _exponents(
    spec: Structure, networks: list[RandomisedNetwork], group: str, where: list[Occurrence]
) -> dict[Occurrence, int]:
    """Return exponents that solve the equations of an infinitesimal scaling, if there are any."""
    # Those that leave buffers as they are come last.
    return next(reversed(infinitesimal_scalings(spec, networks, group, where)), {})


def infinitesimal_scalings(
    spec: Structure, networks: list[RandomisedNetwork], group: str, where: list[Occurrence]
) -> list[dict[Occurrence, int]]:
    """Return exponents of -1, 0 and 1 that solve the equations, each with a first axis of its own."""
    rows = torch.cat([_products(spec, network, group, where) for network in networks])
    scale = rows.abs().amax(dim=1, keepdim=True)
    rows = rows[scale.squeeze(1) > 0] / scale[scale.squeeze(1) > 0]
    _, values, directions = torch.linalg.svd(rows, full_matrices=True)
    rank = int((values > TOLERANCE * len(rows)).sum())
    found = []
    for vector in _reduced(directions[rank:]):
        exponents = vector.round()
        if (vector - exponents).abs().max() < TOLERANCE**0.5 and exponents.abs().max() <= 1:
            first = exponents[exponents != 0][0]
            found.append({w: int(e) for w, e in zip(where, (exponents * first).tolist(), strict=True) if e})
    return found


def _products(
    spec: Structure, network: RandomisedNetwork, group: str, where: list[Occurrence]
) -> torch.Tensor:
    """Return the inner products of weights and gradients, shape (units, axes).

    Raises `SpecError` for a network without gradients.
    """
    if network.without_gradients:
        raise SpecError(
            "scales, signs and rotations are found by gradients, which this network does not have: "
            f"{network.without_gradients}"
        )
    columns = []
    for name, dimension in where:
        weight, gradient = network.state[name].detach(), network.gradients.get(name)
        values = weight * gradient if gradient is not None else torch.zeros_like(weight, dtype=torch.float64)
        columns.append(by_unit(values, spec.axes[name], dimension, group))
    return torch.stack(columns, dim=1)


def _reduced(basis: torch.Tensor) -> torch.Tensor:
    """Return the reduced row echelon form of the rows."""
    rows, lead = basis.clone(), 0
    for column in range(rows.shape[1]):
        if lead == len(rows):
            break
        pivot = lead + int(rows[lead:, column].abs().argmax())
        if rows[pivot, column].abs() < TOLERANCE**0.5:
            continue
        rows[[lead, pivot]] = rows[[pivot, lead]]
        rows[lead] /= rows[lead, column].clone()
        others = torch.arange(len(rows)) != lead
        rows[others] -= rows[others, column, None] * rows[lead]
        lead += 1
    return rows


def _patterns(
    where: list[Occurrence], exponents: Mapping[Occurrence, int]
) -> Iterator[dict[Occurrence, int]]:
    """Yield the sets of axes along which signs may change together, those of the scales first."""
    if exponents:
        yield dict(exponents)
    yield dict.fromkeys(where, 1)
    if len(where) <= MOST_FLIPPED:
        for count in range(2, len(where)):
            yield from (dict.fromkeys(chosen, 1) for chosen in combinations(where, count))


def _scales(size: int, generator: torch.Generator) -> torch.Tensor:
    order = torch.randperm(size, generator=generator)
    return torch.linspace(-RANGE, RANGE, size, dtype=torch.float64)[order].exp()


def _signs(size: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randint(2, (size,), generator=generator).double() * 2 - 1


def _holds(
    spec: Structure,
    networks: list[RandomisedNetwork],
    group: str,
    exponents: dict[Occurrence, int],
    factors: list[torch.Tensor],
) -> bool:
    """Whether the outputs of all networks stay as they are when the units are multiplied by factors.

    There are factors for each network. Those of one of them at least have to have an effect on the way.
    """
    scaling, heard = {group: Scaling(exponents, positive=True, sign=True)}, False
    bounded = False
    for network, own in zip(networks, factors, strict=True):
        changed = scaled_state(network.state, spec.axes, scaling, {group: own})
        scaled = {name: changed[name] for name, _ in exponents}
        effect = network.effect(scaled)
        if not effect.change <= network.threshold:
            return False
        bounded = bounded or network.has_any(effect.reached, BOUNDED)
        heard = heard or not network.is_silent(scaled)
    return heard and (not bounded or _holds_far(spec, networks, scaling, factors))


def _holds_far(
    spec: Structure,
    networks: list[RandomisedNetwork],
    scaling: Mapping[str, Scaling],
    factors: list[torch.Tensor],
) -> bool:
    """Whether the outputs also stay as they are where all tensors that are scaled are many times as large."""
    ((group, own),) = scaling.items()
    names = {name for name, _ in own.exponents}
    for far, (network, factor) in product(FAR, zip(networks, factors, strict=True)):
        large = network.at({n: network.state[n] * far for n in names if network.state[n].is_floating_point()})
        changed = scaled_state(large.state, spec.axes, scaling, {group: factor})
        if not large.keeps({name: changed[name] for name in names}):
            return False
    return True
