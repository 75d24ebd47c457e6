"""Operations with weights: products, convolutions and normalisations."""

from typing import Any

import torch

from raysweep.symmetry.axes import Grouped, Value, still
from raysweep.symmetry.groups import Groups
from raysweep.symmetry.traced import NotUnderstoodError, Traced, fix_all


def convolution(
    units: Groups,
    result: torch.Tensor,
    input: Traced,
    weight: Traced,
    bias: Traced | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Value:
    """With `groups` > 1 the channels of input and result move inside blocks, and the blocks move together."""
    channels, features = weight.axes[:2]
    axis = input.tensor.dim() - weight.tensor.dim() + 1  # of the channels; the batch axis may be absent
    before, incoming, after = input.axes[:axis], input.axes[axis], input.axes[axis + 1 :]
    fix_all(units, after)
    fix_all(units, weight.axes[2:], reason="")
    if groups == 1:
        units.merge(incoming, features)
    else:
        blocks = units.new(f"{channels[0].group or 'convolution'}.blocks", groups)
        units.block(incoming, blocks)
        units.block(channels, blocks)
        units.grouped.append(Grouped(incoming, channels, features, blocks))
    if bias is not None:
        units.merge(channels, bias.axes[0])
    return (*before, channels, *(still(size) for size in result.shape[axis + 1 :]))


def transposed_convolution(
    units: Groups,
    result: torch.Tensor,
    input: Traced,
    weight: Traced,
    bias: Traced | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Value:
    if groups != 1:
        raise NotUnderstoodError("has groups, which are understood for plain convolutions only")
    features, channels = weight.axes[:2]
    axis = input.tensor.dim() - weight.tensor.dim() + 1
    fix_all(units, input.axes[axis + 1 :])
    fix_all(units, weight.axes[2:], reason="")
    units.merge(input.axes[axis], features)
    if bias is not None:
        units.merge(channels, bias.axes[0])
    return (*input.axes[:axis], channels, *(still(size) for size in result.shape[axis + 1 :]))


def channelwise(groups: Groups, result: torch.Tensor, input: Traced, *args: Any, **kwargs: Any) -> Value:
    """Batch and instance norm, PReLU: vectors of one number per channel, or of one for all."""
    if input.tensor.dim() < 2:
        raise NotUnderstoodError("is given a tensor without channels")
    for vector in (*args, *kwargs.values()):
        if isinstance(vector, Traced) and vector.tensor.numel() > 1:
            groups.merge(input.axes[1], vector.axes[0])
    return input.axes


def weight_norm(groups: Groups, result: torch.Tensor, direction: Traced, norm: Traced, dim: int = 0) -> Value:
    """The norm has one number for each entry along axis `dim`."""
    if dim >= 0 and norm.tensor.numel() > 1:
        groups.merge(direction.axes[dim], norm.axes[dim])
    return direction.axes


def layer_norm(
    groups: Groups,
    result: torch.Tensor,
    input: Traced,
    normalized_shape: Any,
    weight: Traced | None = None,
    bias: Traced | None = None,
    eps: float | None = None,
) -> Value:
    """The statistics do not depend on the order of the normalised entries."""
    for parameter in (weight, bias):
        if parameter is not None:
            last = input.axes[-parameter.tensor.dim() :]
            for one, other in zip(last, parameter.axes, strict=True):
                groups.merge(one, other)
    return input.axes


def group_norm(
    units: Groups,
    result: torch.Tensor,
    input: Traced,
    num_groups: int,
    weight: Traced | None = None,
    bias: Traced | None = None,
    eps: float = 1e-5,
) -> Value:
    """Channels move inside their block, and whole blocks move, because all are treated in the same way."""
    if num_groups > 1:
        units.block(input.axes[1], units.new("norm.blocks", num_groups))
    return channelwise(units, result, input, weight, bias)
