"""The operation that each of torch's layers carries out, by exact type: a subclass may do something else."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from raysweep.symmetry.groups import Groups
from raysweep.symmetry.operations import OPERATIONS
from raysweep.symmetry.traced import NotUnderstoodError, Traced

Own = Callable[[str], Traced | None]  # a parameter or buffer of the module by its name in the module
Arguments = Callable[[Any, Own], tuple[Any, ...]]  # the operation's arguments after the input


def _weight_and_bias(module: Any, own: Own) -> tuple[Any, ...]:
    return (own("weight"), own("bias"))


def _convolution(module: Any, own: Own) -> tuple[Any, ...]:
    return (own("weight"), own("bias"), module.stride, module.padding, module.dilation, module.groups)


def _transposed(module: Any, own: Own) -> tuple[Any, ...]:
    geometry = (module.stride, module.padding, module.output_padding)
    return (own("weight"), own("bias"), *geometry, module.groups, module.dilation)


def _statistics(module: Any, own: Own) -> tuple[Any, ...]:
    return (own("running_mean"), own("running_var"), own("weight"), own("bias"))


def _nothing(module: Any, own: Own) -> tuple[Any, ...]:
    return ()


_ACTIVATIONS = (
    *(nn.ReLU, nn.ReLU6, nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid, nn.Hardsigmoid, nn.LogSigmoid, nn.Tanh),
    *(nn.Hardtanh, nn.Hardswish, nn.ELU, nn.SELU, nn.CELU, nn.LeakyReLU, nn.Softplus, nn.Softsign),
    *(nn.Tanhshrink, nn.Hardshrink, nn.Softshrink, nn.Threshold),
)
_DROPOUTS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout)
_POOLS = {
    getattr(nn, f"{kind}Pool{axes}d"): f"avg_pool{axes}d"
    for kind in ("Avg", "Max", "AdaptiveAvg", "AdaptiveMax")
    for axes in (1, 2, 3)
}
_BATCHED: dict[type[nn.Module], int] = {nn.InstanceNorm1d: 3, nn.InstanceNorm2d: 4, nn.InstanceNorm3d: 5}

MODULES: dict[type[nn.Module], tuple[str, Arguments]] = {
    **dict.fromkeys(_ACTIVATIONS, ("relu", _nothing)),
    **dict.fromkeys((*_DROPOUTS, nn.Identity), ("contiguous", _nothing)),
    **dict.fromkeys((nn.Flatten, nn.Unflatten), ("reshape", _nothing)),
    **{module: (name, _nothing) for module, name in _POOLS.items()},
    **dict.fromkeys((nn.Upsample, nn.UpsamplingNearest2d, nn.UpsamplingBilinear2d), ("upsample", _nothing)),
    nn.Linear: ("linear", _weight_and_bias),
    **dict.fromkeys((nn.Conv1d, nn.Conv2d, nn.Conv3d), ("conv2d", _convolution)),
    **dict.fromkeys(
        (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d), ("conv_transpose2d", _transposed)
    ),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d), ("batch_norm", _statistics)),
    **dict.fromkeys(_BATCHED, ("instance_norm", _statistics)),
    nn.PReLU: ("prelu", lambda module, own: (own("weight"),)),
    nn.LayerNorm: ("layer_norm", lambda module, own: (module.normalized_shape, own("weight"), own("bias"))),
    nn.RMSNorm: ("rms_norm", lambda module, own: (module.normalized_shape, own("weight"))),
    nn.GroupNorm: ("group_norm", lambda module, own: (module.num_groups, own("weight"), own("bias"))),
}


def module_axes(groups: Groups, result: torch.Tensor, module: nn.Module, own: Own, input: Traced) -> Any:
    """Return the axes of a layer's result. Raises `NotUnderstoodError` for a layer that is not listed."""
    if type(module) not in MODULES:
        raise NotUnderstoodError("is not understood")
    if module._forward_hooks or module._forward_pre_hooks:
        raise NotUnderstoodError("has hooks, which are not understood")
    if input.tensor.dim() != _BATCHED.get(type(module), input.tensor.dim()):
        raise NotUnderstoodError("is given a tensor without a batch axis")
    name, arguments = MODULES[type(module)]
    return OPERATIONS[name](groups, result, input, *arguments(module, own))
