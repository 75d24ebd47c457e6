"""What each operation of torch does to the axes of its operands, by the operation's name.

A handler is called as `handler(groups, result, *args, **kwargs)` with the operation's own arguments, tensors
among them being `Traced`. It unifies axes and returns those of the result (a list of them for several
tensors). It raises `NotUnderstoodError` for arguments that it cannot follow; the axes that reach the
operation then stay in place.

Handlers in `DIVIDED` are given divided axes, and raise `Undivided` where the order inside matters; all others
are given plain axes.
"""

from collections.abc import Callable
from typing import Any

import torch

from raysweep.symmetry.axes import Value
from raysweep.symmetry.groups import Groups
from raysweep.symmetry.operations import (
    arranging,
    contracting,
    elementwise,
    indexing,
    layers,
    recurrent,
    reducing,
    reshaping,
)
from raysweep.symmetry.traced import Traced

Handler = Callable[..., Any]


def _pool(spatial: int) -> Handler:
    def handler(groups: Groups, result: torch.Tensor, input: Traced, *_: Any, **__: Any) -> Value:
        return reducing.pool(groups, result, input, spatial)

    return handler


RESHAPES = (
    *("flatten", "view", "reshape", "squeeze", "unsqueeze", "unflatten", "ravel", "view_as", "reshape_as"),
)
MATMULS = ("matmul", "mm", "bmm", "mv", "dot", "vdot")
ADDED_MATMULS = ("addmm", "baddbmm", "addmv")
PRODUCTS = (*MATMULS, *ADDED_MATMULS)
TRANSPOSITIONS: dict[str, Handler] = {
    "permute": arranging.permute,
    **dict.fromkeys(("transpose", "swapaxes", "swapdims"), arranging.transpose),
    **dict.fromkeys(("t", "T"), arranging.reverse),
    **dict.fromkeys(("mT", "adjoint"), arranging.matrix_transpose),
    **dict.fromkeys(("movedim", "moveaxis"), arranging.move),
}
DIVIDING: dict[str, Handler] = {
    **dict.fromkeys(elementwise.ELEMENTWISE, elementwise.elementwise),
    **dict.fromkeys(elementwise.CONVERSIONS, elementwise.conversion),
    **dict.fromkeys(elementwise.DROPOUTS, elementwise.dropout),
    **dict.fromkeys(elementwise.SOFTMAXES, elementwise.unary),
    **dict.fromkeys(MATMULS, contracting.matmul),
    **dict.fromkeys(ADDED_MATMULS, contracting.addmm),
    "einsum": contracting.einsum,
    "bilinear": contracting.bilinear,
    "linear": contracting.linear,
    "scaled_dot_product_attention": contracting.attention,
    **dict.fromkeys(RESHAPES, reshaping.reshape),
    **TRANSPOSITIONS,
    **dict.fromkeys(("chunk", "split", "tensor_split"), indexing.pieces),
    "unbind": indexing.unbind,
    "select": indexing.select,
    "narrow": indexing.narrow,
    "getitem": indexing.getitem,
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), arranging.expand),
    "repeat_interleave": reshaping.repeat_interleave,
}
OPERATIONS: dict[str, Handler] = {
    **DIVIDING,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), layers.convolution),
    **dict.fromkeys(
        ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), layers.transposed_convolution
    ),
    **dict.fromkeys(("batch_norm", "instance_norm", "prelu"), layers.channelwise),
    **dict.fromkeys(("layer_norm", "rms_norm"), layers.layer_norm),
    "group_norm": layers.group_norm,
    "weight_norm": layers.weight_norm,
    "embedding": arranging.embedding,
    "glu": arranging.gated,
    **{name: recurrent.Recurrent(gates) for name, gates in recurrent.GATES.items()},
    **{name: recurrent.Cell(gates) for name, gates in recurrent.CELLS.items()},
    **dict.fromkeys(("cat", "concat", "concatenate"), arranging.concatenate),
    "stack": arranging.stack,
    **dict.fromkeys(("repeat", "tile"), arranging.repeat),
    "pad": arranging.pad,
    "setitem": indexing.setitem,
    "channel_shuffle": reshaping.channel_shuffle,
    "pixel_shuffle": reshaping.pixel_shuffle,
    "pixel_unshuffle": reshaping.pixel_unshuffle,
    **{name: arranging.Along(*how) for name, how in arranging.ALONG.items()},
    **{name: _pool(spatial) for name, spatial in reducing.POOLS.items()},
    **dict.fromkeys(("interpolate", "upsample"), reducing.interpolate),
    **{name: reducing.Reduction(*where) for name, where in reducing.REDUCTIONS.items()},
}
DIVIDED: frozenset[Handler] = frozenset(DIVIDING.values())
ADDITIONS, BOUNDED = elementwise.ADDITIONS, elementwise.BOUNDED
# Operations whose operands are not copies of an entry where they are constants that are equal along an axis.
CONTRACTIONS: frozenset[Handler] = frozenset(
    {
        contracting.linear,
        contracting.matmul,
        contracting.einsum,
        contracting.bilinear,
        layers.convolution,
        layers.transposed_convolution,
    }
)
# Their results have the form of a tensor, and nothing of its values.
FORMS = frozenset({"zeros_like", "ones_like", "empty_like", "full_like", "rand_like", "randn_like"})
FORMS |= {"new_zeros", "new_ones", "new_empty", "new_full", "new_tensor"}
