"""Weight matching: coordinate ascent of <A, P[B]> over the permutation of one group at a time.

Source: Ainsworth, Hayase and Srinivasa 2023 (Git Re-Basin, arXiv 2209.04836), algorithm 1, with two
corrections: the objective that is tracked is the true one, and the ascent stops when no single group improves
it. The cosine kernel and several checkpoints at once are those of Sharma et al. 2024 (arXiv 2404.06498).
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

import torch

from raysweep.alignment.ascent import Ascent, Reached
from raysweep.alignment.products import Indices, Similarities, State
from raysweep.alignment.totals import total
from raysweep.choices import check_names, choose
from raysweep.digest import seed_for
from raysweep.models.given import Network, as_floats, check_alike, state_of, states_of
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.symmetry.blocks import block_index, order_of


@dataclass(frozen=True)
class _Kernel:
    """The ascent from the identity, the ascent from a given start, and the value of the objective."""

    begin: Callable[[Ascent, Indices, torch.Generator], Reached]
    find: Callable[[Ascent, Indices, torch.Generator], Reached]
    value: Callable[[Ascent, Indices], float]


KERNELS = {
    "linear": _Kernel(Ascent.linear_twice, Ascent.linear, lambda ascent, indices: ascent.objective(indices)),
    "cosine": _Kernel(Ascent.cosine, Ascent.cosine, Ascent.cosines),
}


@dataclass(frozen=True)
class Alignment:
    """A permutation P of network B toward A, and the objective that it reaches.

    Linear: the inner product <A, P[B]> over all matched parameters, in float64. Cosine: the sum of the
    cosines of all matched units.
    """

    permutation: Permutation
    objective: float  # of A and P[B]
    objective_identity: float  # of A and B
    iterations: int  # assignments solved


def weight_matching(
    spec: PermutationSpec,
    target: Network | Sequence[Network],
    source: Network | Sequence[Network],
    seed: int = 0,
    *,
    kernel: str = "linear",
    order: str = "random",
    start: Permutation | None = None,
    biases: bool = True,
    groups: Collection[str] | None = None,
    restarts: int = 1,
) -> Alignment:
    """Find P that makes P[source] close to target, starting from `start` (the identity unless given).

    Networks are modules or state dicts of the architecture of `spec`; they are not changed, and their
    similarities are computed on their device. The groups (only those in `groups`, where given) are visited in
    an `order`: random (drawn from `seed`), forward or backward through the network. Equally long lists of
    networks are matched by the sum of their similarities (super-alignment). Without `biases` only parameters
    of two axes and more are matched (all of them are permuted). Of several `restarts` all but the first begin
    at random permutations, and the best is kept.

    With the linear kernel the objective never falls, and at the end no single group improves it; a group is
    solved again only when one that shares a parameter with it has changed. Units in blocks (of grouped
    convolutions and GroupNorm) are matched inside their blocks, and the blocks with each other. Without a
    start, and with all groups, a permuted copy of a network is found exactly, up to units with equal weights
    (see `Ascent.linear_twice`). The cosine kernel makes a bounded number of sweeps and keeps the best result.

    Raises `TypeError` for anything that is not a network, and `ValueError` for unknown names, no restarts,
    lists of different lengths, for networks or a start that do not fit the spec, for complex weights, and
    for networks of several types or devices.
    """
    check_spec(spec)
    targets, sources = listed(target, "target"), listed(source, "source")
    chosen = choose("kernel", kernel, KERNELS)
    check_names("group", groups or (), spec.sizes)
    matched = matched_spec(spec, biases)
    for state in (*targets, *sources):
        matched.check_state(state)
    check_alike([*targets, *sources])
    targets, sources = ([as_floats(each, matched.axes) for each in states] for states in (targets, sources))
    if start is not None:
        spec.check(start)
    if restarts < 1:
        raise ValueError(f"restarts must be at least 1, not {restarts}")
    ascent = _ascent(matched, targets, sources, order, groups)
    identity = Permutation.identity(spec.sizes)
    first = start or identity
    begin = chosen.begin if start is None else chosen.find
    found = [begin(ascent, first.indices, torch.Generator().manual_seed(seed))]
    for attempt in range(1, restarts):
        generator = torch.Generator().manual_seed(seed_for("restart", seed, attempt))
        drawn = random_start(spec, generator, groups, first)
        found.append(chosen.find(ascent, drawn.indices, generator))
    best = max(found, key=lambda reached: reached.objective)
    before = chosen.value(ascent, identity.indices)
    return Alignment(
        Permutation(best.indices), best.objective, before, sum(each.iterations for each in found)
    )


def random_start(
    spec: PermutationSpec,
    generator: torch.Generator,
    groups: Collection[str] | None = None,
    others: Permutation | None = None,
) -> Permutation:
    """Draw a permutation of the units of `groups` (all unless given).

    The units of all other groups are permuted as `others` says, which is the identity unless given. So are
    blocks that move together with blocks of such a group, in which units are drawn alone.
    """
    others = others or Permutation.identity(spec.sizes)
    drawn, moving = spec.random(generator).indices, set(spec.sizes if groups is None else groups)
    indices = {g: (drawn if g in moving else others.indices)[g] for g in spec.sizes}
    for each in spec.blocks:
        bound = () if moving.issuperset(each.groups) else moving.intersection(each.groups)
        for group in bound:
            order = order_of(others.indices[group], each.count)
            inside = drawn[group].view(each.count, -1) % (spec.sizes[group] // each.count)
            indices[group] = block_index(order, inside)
    return Permutation(indices)


def objective(target: State, source: State, names: Iterable[str]) -> float:
    """Return the inner product of two states over the named parameters, summed in float64."""
    return total(torch.dot(target[n].reshape(-1).double(), source[n].reshape(-1).double()) for n in names)


def matched_spec(spec: PermutationSpec, biases: bool = True) -> PermutationSpec:
    """Return the spec without buffers, which are never matched, and without vectors unless `biases`."""
    kept = {n: axes for n, axes in spec.axes.items() if n not in spec.buffers and (biases or len(axes) > 1)}
    return PermutationSpec(kept, spec.sizes, frozenset(), spec.blocks)


def _ascent(
    spec: PermutationSpec,
    targets: Sequence[State],
    sources: Sequence[State],
    order: str,
    groups: Collection[str] | None,
) -> Ascent:
    if len(targets) != len(sources) or not targets:
        raise ValueError(f"{len(targets)} target states, but {len(sources)} source states")

    def inner(indices: Indices) -> float:
        permutation, pairs = Permutation(indices), zip(targets, sources, strict=True)
        return sum(objective(a, spec.apply(permutation, b), spec.axes) for a, b in pairs)

    return Ascent(
        Similarities((spec, spec), targets, sources),
        spec,
        tuple(spec.sizes if groups is None else groups),
        order,
        inner,
        _norm(targets, spec) * _norm(sources, spec),
    )


def _norm(states: Sequence[State], spec: PermutationSpec) -> float:
    """Return the norm of all matched parameters together; a few digits are enough for tolerances."""
    norms = [
        torch.linalg.vector_norm(state[name].detach()).double() for state in states for name in spec.axes
    ]
    return torch.stack(norms).norm().item() if norms else 0.0


def check_spec(spec: PermutationSpec) -> None:
    """Raise `TypeError` for anything but a spec."""
    if not isinstance(spec, PermutationSpec):
        raise TypeError(
            "spec: expected a PermutationSpec, as PermutationSpec.trace(model, images) returns, not a value "
            f"of type {type(spec).__name__}"
        )


def listed(networks: Network | Sequence[Network], name: str) -> Sequence[State]:
    """Return the states of a network, or of a list of at least one; `name` is that of the argument."""
    if isinstance(networks, Sequence) and not networks:
        raise ValueError(f"{name}: expected at least one network")
    return states_of(networks, name) if isinstance(networks, Sequence) else [state_of(networks, name)]
