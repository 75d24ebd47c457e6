"""What each operation of torch does to the axes of its operands, by the operation's name.

A handler is called as `handler(groups, result, *args, **kwargs)` with the operation's own arguments,
tensors among them being `Traced`. It unifies axes and returns those of the result (a list of them for a
tuple of tensors). It raises `NotUnderstoodError` for arguments that it cannot follow.
"""

from collections.abc import Callable
from typing import Any

import torch

from raysweep.symmetry.axes import Value
from raysweep.symmetry.groups import Groups
from raysweep.symmetry.operations import arranging, elementwise, layers, reducing, reshaping
from raysweep.symmetry.traced import Traced

Handler = Callable[..., Any]


def _pool(spatial: int) -> Handler:
    def handler(groups: Groups, result: torch.Tensor, input: Traced, *_: Any, **__: Any) -> Value:
        return reducing.pool(groups, result, input, spatial)

    return handler


CONTRACTIONS: frozenset[Handler] = frozenset(
    {layers.linear, layers.matmul, layers.convolution, layers.transposed_convolution}
)
OPERATIONS: dict[str, Handler] = {
    **dict.fromkeys(elementwise.ELEMENTWISE, elementwise.elementwise),
    **dict.fromkeys(elementwise.CONVERSIONS, elementwise.conversion),
    **dict.fromkeys(elementwise.DROPOUTS, elementwise.dropout),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), layers.convolution),
    **dict.fromkeys(
        ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), layers.transposed_convolution
    ),
    **dict.fromkeys(("batch_norm", "instance_norm", "prelu"), layers.channelwise),
    **dict.fromkeys(("layer_norm", "rms_norm"), layers.layer_norm),
    **dict.fromkeys(("matmul", "mm"), layers.matmul),
    "linear": layers.linear,
    "group_norm": layers.group_norm,
    **dict.fromkeys(
        ("flatten", "view", "reshape", "squeeze", "unsqueeze", "unflatten", "ravel", "view_as", "reshape_as"),
        reshaping.reshape,
    ),
    "permute": arranging.permute,
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), arranging.transpose),
    "t": arranging.reverse,
    "getattr": arranging.attribute,
    "getitem": arranging.getitem,
    **dict.fromkeys(("cat", "concat", "concatenate"), arranging.concatenate),
    "stack": arranging.stack,
    **dict.fromkeys(("chunk", "split"), arranging.pieces),
    **dict.fromkeys(("expand", "expand_as"), arranging.expand),
    "pad": arranging.pad,
    **{name: _pool(spatial) for name, spatial in reducing.POOLS.items()},
    **dict.fromkeys(("interpolate", "upsample"), reducing.interpolate),
    **dict.fromkeys(reducing.REDUCTIONS, reducing.reduce),
}
