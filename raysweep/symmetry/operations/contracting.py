"""Products and sums: axes of the operands that have one label move together, and some of them vanish.

A label is that of a subscript of `einsum`. Where operands have divided axes (the heads of attention, and the
units inside each head) under the same labels, the whole axes move together; where the heads alone meet
another axis, the whole axis moves in blocks, with the units free inside each head.
"""

from collections.abc import Hashable, Sequence
from typing import Any

import torch

from raysweep.symmetry.axes import Axis, Divided, Part, Repeated, Value, length, still
from raysweep.symmetry.groups import Groups
from raysweep.symmetry.operations.dividing import heads_of, moves, name_of
from raysweep.symmetry.operations.reshaping import interleaved
from raysweep.symmetry.traced import NotUnderstoodError, Traced, Undivided, fix_all

Labels = Sequence[Hashable]


def contract(groups: Groups, operands: Sequence[Traced], labels: Sequence[Labels], output: Labels) -> Value:
    """Return the axes of the result, one for each label of the output; a length of 1 is broadcast.

    Raises `Undivided` where divided axes meet in another way than is understood; without them it succeeds.
    """
    plain: dict[Hashable, Axis] = {}
    divided: dict[tuple[Hashable, ...], Divided] = {}
    for operand, own in zip(operands, labels, strict=True):
        for names, whole in _divided(operand, own):
            known = divided.setdefault(names, whole)
            if known is not whole:
                if known.sizes != whole.sizes:
                    raise Undivided
                groups.merge(known.axis, whole.axis)
                _join_heads(groups, known, whole)
        for axis, name in zip(operand.axes, own, strict=True):
            if isinstance(axis, Part) or (length(axis) == 1 and name in output):
                continue
            if name in plain:
                groups.merge(plain[name], axis)
            else:
                plain[name] = axis
    for names in [names for names in divided if _shares_units(groups, names, plain)]:
        _share(groups, divided.pop(names), names, plain)
    parts = _parts(groups, divided, plain, output)
    lengths = {
        name: length(axis)
        for operand, own in zip(operands, labels, strict=True)
        for axis, name in zip(operand.axes, own, strict=True)
    }
    return tuple(parts.get(name) or plain.get(name) or still(lengths[name]) for name in output)


def _divided(operand: Traced, labels: Labels) -> list[tuple[tuple[Hashable, ...], Divided]]:
    """Return the divided axes of an operand, each with the labels of its parts."""
    found: dict[int, tuple[Divided, dict[int, Hashable]]] = {}
    for axis, name in zip(operand.axes, labels, strict=True):
        if isinstance(axis, Part):
            found.setdefault(id(axis.whole), (axis.whole, {}))[1][axis.number] = name
    return [(tuple(names[number] for number in sorted(names)), whole) for whole, names in found.values()]


def _shares_units(groups: Groups, names: tuple[Hashable, ...], plain: dict[Hashable, Axis]) -> bool:
    """Whether the inner of two parts meets units that move, which are then the same in all runs."""
    return len(names) == 2 and names[1] in plain and moves(groups, plain[names[1]])


def _share(groups: Groups, whole: Divided, names: tuple[Hashable, ...], plain: dict[Hashable, Axis]) -> None:
    """Take a divided axis apart: into the axis of its runs, and that of the units that all of them have."""
    outer, inner = names
    if whole.heads is None:
        whole.heads = groups.new(f"{name_of(groups, whole.axis)}.heads", whole.sizes[0])
    groups.repeated.append(Repeated(whole.axis, whole.heads, plain[inner], still(1), groups.operation))
    groups.merge(plain.setdefault(outer, whole.heads), whole.heads)


def _join_heads(groups: Groups, one: Divided, other: Divided) -> None:
    if one.heads is not None and other.heads is not None:
        groups.merge(one.heads, other.heads)
    one.heads = other.heads = one.heads or other.heads


def _parts(
    groups: Groups,
    divided: dict[tuple[Hashable, ...], Divided],
    plain: dict[Hashable, Axis],
    output: Labels,
) -> dict[Hashable, Part]:
    """Return the divided axes of the result by label; the heads of others are put into `plain`."""
    used = [name for names in divided for name in names]
    found: dict[Hashable, Part] = {}
    for names, whole in divided.items():
        outer, *inner = names
        if any(name in plain or used.count(name) > 1 for name in inner):
            raise Undivided
        kept = [name in output for name in names]
        if kept[0] != all(kept) and any(kept[1:]):
            raise Undivided
        meets = outer in plain or used.count(outer) > 1
        if outer in found and all(kept):
            raise Undivided  # a result has the heads of one axis alone
        if len(names) > 2 and (meets or not all(kept)):
            raise Undivided
        if all(kept):
            found |= dict(zip(names, whole.parts(), strict=True))
        if meets or (kept[0] and not all(kept)):
            heads = heads_of(groups, whole)
            groups.merge(plain.setdefault(outer, heads), heads)
    return found


def matmul(groups: Groups, result: torch.Tensor, input: Traced, other: Traced) -> Value:
    ones, others = input.tensor.dim(), other.tensor.dim()
    rows = [*range(-ones, -2), "row", "sum"] if ones > 1 else ["sum"]
    columns = [*range(-others, -2), "sum", "column"] if others > 1 else ["sum"]
    batch = range(-max(ones, others), -2)
    output = [*batch, *(["row"] if ones > 1 else []), *(["column"] if others > 1 else [])]
    return contract(groups, [input, other], [rows, columns], output)


def linear(
    groups: Groups, result: torch.Tensor, input: Traced, weight: Traced, bias: Traced | None = None
) -> Value:
    if weight.tensor.dim() != 2:
        raise NotUnderstoodError("has a weight that is not a matrix")
    batch = list(range(input.tensor.dim() - 1))
    operands: list[Traced] = [input, weight]
    labels: list[Labels] = [[*batch, "in"], ["out", "in"]]
    if bias is not None:
        operands, labels = [*operands, bias], [*labels, ["out"]]
    return contract(groups, operands, labels, [*batch, "out"])


def bilinear(
    groups: Groups,
    result: torch.Tensor,
    input1: Traced,
    input2: Traced,
    weight: Traced,
    bias: Traced | None = None,
) -> Value:
    batch = list(range(input1.tensor.dim() - 1))
    operands: list[Traced] = [input1, input2, weight]
    labels: list[Labels] = [[*batch, "one"], [*batch, "other"], ["out", "one", "other"]]
    if bias is not None:
        operands, labels = [*operands, bias], [*labels, ["out"]]
    return contract(groups, operands, labels, [*batch, "out"])


def addmm(groups: Groups, result: torch.Tensor, input: Traced, mat1: Traced, mat2: Traced, **_: Any) -> Value:
    """Also `baddbmm` and `addmv`: a product of matrices that is added to something."""
    value = matmul(groups, result, mat1, mat2)
    rank = result.dim()
    added = range(rank - input.tensor.dim(), rank)
    return contract(groups, [Traced(result, value), input], [range(rank), added], range(rank))


def einsum(groups: Groups, result: torch.Tensor, equation: Any, *given: Any) -> Value:
    operands = list(given[0]) if len(given) == 1 and isinstance(given[0], Sequence) else list(given)
    if not isinstance(equation, str):
        raise NotUnderstoodError("is given subscripts as numbers; write them as a string")
    left, arrow, right = equation.replace(" ", "").partition("->")
    texts = zip(left.split(","), operands, strict=True)
    labels = [_subscripts(text, each.tensor.dim()) for text, each in texts]
    if arrow:
        output = _subscripts(right, result.dim())
    else:
        letters = [name for own in labels for name in own if isinstance(name, str)]
        batch = sorted({name for own in labels for name in own if isinstance(name, int)})
        output = [*batch, *sorted(name for name in set(letters) if letters.count(name) == 1)]
    if any(len(set(own)) < len(own) for own in labels):
        raise NotUnderstoodError("takes a diagonal")
    return contract(groups, operands, labels, output)


def _subscripts(text: str, rank: int) -> list[Hashable]:
    """Return the labels of the axes; those of an ellipsis are numbers, counted from the last."""
    before, dots, after = text.partition("...")
    hidden = range(len(before) + len(after) - rank, 0) if dots else ()
    return [*before, *hidden, *after]


def attention(
    groups: Groups,
    result: torch.Tensor,
    query: Traced,
    key: Traced,
    value: Traced,
    attn_mask: Traced | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Value:
    """Scaled dot product attention; heads, if any, are an axis before that of the tokens."""
    if dropout_p:
        raise NotUnderstoodError("is random in evaluation mode; pass dropout_p=0.0 unless self.training")
    if is_causal:
        _keep_order(groups, [each.axes[-2] for each in (query, key, value)])
    rank = query.tensor.dim()
    if enable_gqa:
        key, value = (_for_all_heads(groups, each, query.tensor.shape[-3]) for each in (key, value))
    batch = list(range(-rank, -2))
    scores = [*batch, "query", "key"]
    axes = contract(groups, [query, key], [[*batch, "query", "units"], [*batch, "key", "units"]], scores)
    weights = Traced(query.tensor.new_empty((*result.shape[:-1], key.tensor.shape[-2])), axes)
    if attn_mask is not None:
        mask = scores[len(scores) - attn_mask.tensor.dim() :]
        weights = Traced(weights.tensor, contract(groups, [weights, attn_mask], [scores, mask], scores))
    return contract(groups, [weights, value], [scores, [*batch, "key", "out"]], [*batch, "query", "out"])


def _keep_order(groups: Groups, axes: Sequence[Axis]) -> None:
    """Make entries stay in place. Raises `Undivided` where nothing is said yet of their order."""
    if any(isinstance(axis, Part) for axis in axes):
        raise Undivided
    fix_all(groups, axes)


def _for_all_heads(groups: Groups, shared: Traced, heads: int) -> Traced:
    """Repeat the heads of keys or values for all heads of queries."""
    times = heads // shared.tensor.shape[-3]
    return Traced(shared.tensor.repeat_interleave(times, dim=-3), interleaved(groups, shared.axes, -3, times))
