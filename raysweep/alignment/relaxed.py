"""Relaxed permutations: a doubly stochastic matrix for each layer group, differentiable.

Sources: Mena et al. 2018 (Gumbel-Sinkhorn networks, arXiv 1802.08665) relax a permutation to the matrix that
Sinkhorn's normalisations make of a matrix of logits; Pena et al. 2023 (Sinkhorn re-basin, arXiv 2212.12042)
apply one to each layer of a network.

`sinkhorn` makes one such matrix, `relaxed` those of a spec, `apply_relaxed` applies them to a state, `mixed`
mixes states, and `harden` returns the nearest permutation. All but `harden` can be differentiated and, for
several networks at once, run under `torch.func.vmap`.
"""

from collections.abc import Mapping, Sequence

import torch

from raysweep.alignment.assignments import assignment, assignment_of_blocks
from raysweep.symmetry import Permutation, PermutationSpec
from raysweep.symmetry.axes import Axis, Segment, Shared, Within

State = Mapping[str, torch.Tensor]
Matrices = Mapping[str, torch.Tensor]  # by group, (units, units); row i weighs what unit i is made of


def sinkhorn(logits: torch.Tensor, tau: float, iterations: int) -> torch.Tensor:
    """Return the matrix exp(logits / tau) with its rows and columns normalised in turn, in log space.

    `logits` has the shape (..., units, units). The columns, which are normalised last, sum to 1; the rows do
    in the limit of many `iterations`. As `tau` falls to 0, the matrix tends to the permutation of the largest
    sum of logits.
    """
    log = logits / tau
    for _ in range(iterations):
        log = log - log.logsumexp(dim=-1, keepdim=True)
        log = log - log.logsumexp(dim=-2, keepdim=True)
    return log.exp()


def relaxed(spec: PermutationSpec, logits: Matrices, tau: float, iterations: int) -> dict[str, torch.Tensor]:
    """Return the relaxed permutation of each group, from logits of the same shape (units, units).

    Groups in blocks respect them: the units of each pair of blocks have a doubly stochastic matrix, which is
    weighed by the entry of that pair in the matrix of the blocks. The logit of a pair of blocks is the sum
    of the logits of its units, weighed by their matrices, over the groups that move together.
    """
    found = dict(logits)
    inside = {group for each in spec.blocks for group in each.groups}
    for group in spec.sizes.keys() - inside:
        found[group] = sinkhorn(logits[group], tau, iterations)
    for own in spec.blocks:
        pairs = {group: _by_pair(logits[group], own.count) for group in own.groups}
        units = {group: sinkhorn(each, tau, iterations) for group, each in pairs.items()}
        worth = [(units[group] * pairs[group]).sum(dim=(-2, -1)) for group in own.groups]
        order = sinkhorn(torch.stack(worth).sum(dim=0), tau, iterations)[..., None, None]
        found |= {
            group: (order * each).transpose(1, 2).flatten(2).flatten(0, 1) for group, each in units.items()
        }
    return found


def apply_relaxed(spec: PermutationSpec, matrices: Matrices, state: State) -> dict[str, torch.Tensor]:
    """Return the state whose unit i, in each group, is made of all units with the weights of row i.

    The matrices of a permutation (see `matrices_of`) give exactly what `spec.apply` does. Groups without a
    matrix stay in place. In a grouped convolution, the inputs of a block of rows are weighed given the block
    from which the rows come.
    """
    result = dict(state)
    for name, axes in spec.axes.items():
        tensor = result[name]
        within = axes[1] if len(axes) > 1 else None
        if isinstance(within, Within):
            tensor = _grouped(tensor, axes[0], within, matrices)
            axes = (None, None, *axes[2:])
        for dimension, axis in enumerate(axes):
            if isinstance(axis, tuple):
                tensor = _along(tensor, dimension, axis, matrices)
        result[name] = tensor
    return result


def mixed(states: Sequence[State], weights: Sequence[float] | torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the weighted sum of states; integers, such as counts of batches, are those of the first."""
    return {
        name: sum(
            (w * state[name] for w, state in zip(weights, states, strict=True)), torch.zeros_like(first)
        )
        if first.is_floating_point()
        else first
        for name, first in states[0].items()
    }


def matrices_of(permutation: Permutation, like: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the matrices of a permutation, of the type and on the device of a tensor."""
    return {
        group: torch.eye(len(index), dtype=like.dtype, device=like.device)[index.to(like.device)]
        for group, index in permutation.indices.items()
    }


def harden(spec: PermutationSpec, matrices: Matrices) -> Permutation:
    """Return the permutation with the largest sum of entries among those that respect the blocks of the spec.

    Raises `ValueError` for entries that are not finite.
    """
    entries = {group: matrices[group].detach().double().cpu() for group in spec.sizes}
    inside = {group for each in spec.blocks for group in each.groups}
    indices = {group: assignment(each) for group, each in entries.items() if group not in inside}
    for own in spec.blocks:
        indices |= assignment_of_blocks({group: entries[group] for group in own.groups}, own.count)
    return Permutation({group: indices[group] for group in spec.sizes})


def _by_pair(matrix: torch.Tensor, count: int) -> torch.Tensor:
    """Return a matrix as (blocks, blocks, units, units)."""
    pairs: torch.Tensor = matrix.unflatten(1, (count, -1)).unflatten(0, (count, -1))
    return pairs.transpose(1, 2)


def _along(tensor: torch.Tensor, dimension: int, axis: Axis, matrices: Matrices) -> torch.Tensor:
    parts = []
    for segment, part in zip(axis, tensor.split([s.size for s in axis], dim=dimension), strict=True):
        matrix = matrices.get(segment.group or "")
        if isinstance(segment, Shared):
            part = _of_heads(part.movedim(dimension, 0), segment, matrices).movedim(0, dimension)
        elif matrix is not None:
            matrix, units = _alike(matrix, part.unflatten(dimension, (-1, segment.repeat)))
            moved = torch.tensordot(matrix, units, dims=([1], [dimension]))
            part = moved.movedim(0, dimension).flatten(dimension, dimension + 1)
        parts.append(part)
    return torch.cat(parts, dim=dimension) if len(parts) > 1 else parts[0]


def _of_heads(part: torch.Tensor, shared: Shared, matrices: Matrices) -> torch.Tensor:
    """Apply matrices to heads, along the first axis, and to the units that they share."""
    blocks, size = shared.blocks, shared.size // shared.count
    head = _whole((Segment(shared.heads, shared.count),), shared.count, part, matrices)
    unit = _whole((Segment(shared.group, blocks * size),), blocks * size, part, matrices)
    heads, units = (each.unflatten(1, (blocks, -1)).unflatten(0, (blocks, -1)) for each in (head, unit))
    values = part.unflatten(0, (blocks, -1, size))
    result: torch.Tensor = torch.einsum("btcs,bucv,csv...->btu...", heads, _given(units), values)
    return result.flatten(0, 2)


def _given(units: torch.Tensor) -> torch.Tensor:
    """Return the weights of units (blocks, units, blocks, units) given the block from which they come."""
    mass = units.sum(dim=3, keepdim=True)
    return units / mass.clamp(min=torch.finfo(mass.dtype).tiny)


def _grouped(
    tensor: torch.Tensor, rows: Axis | Within | None, within: Within, matrices: Matrices
) -> torch.Tensor:
    """Apply matrices to the first two axes of the weight of a grouped convolution."""
    row = _whole(rows if isinstance(rows, tuple) else None, len(tensor), tensor, matrices)
    column = _whole(within.axis, within.count * tensor.shape[1], tensor, matrices)
    ones, others = (
        each.unflatten(1, (within.count, -1)).unflatten(0, (within.count, -1)) for each in (row, column)
    )
    blocks = tensor.unflatten(0, (within.count, -1))
    result: torch.Tensor = torch.einsum("brcs,bkct,cst...->brk...", ones, _given(others), blocks)
    return result.flatten(0, 1)


def _whole(axis: Axis | None, size: int, like: torch.Tensor, matrices: Matrices) -> torch.Tensor:
    """Return the matrix that acts along a whole axis."""
    identity = torch.eye(size, dtype=like.dtype, device=like.device)
    return identity if axis is None else _along(identity, 0, axis, matrices)


def _alike(matrix: torch.Tensor, units: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both in the type of the units, or in that of the matrix where the units are integers."""
    return (matrix.to(units.dtype), units) if units.is_floating_point() else (matrix, units.to(matrix.dtype))
