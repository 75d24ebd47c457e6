"""Takes the plain network out of what torch.compile returns, and of torch's wrappers for several devices."""

from torch import nn

from raysweep.errors import UserError

_INSIDE = "_orig_mod"  # under this name torch.compile keeps the module that it wraps
_FUNCTION = "_torchdynamo_orig_callable"  # only functions that torch.compile returns have this attribute
_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the network inside a wrapper: of torch.compile, or for several devices. Nothing is changed."""
    inside = model.module if isinstance(model, _WRAPPERS) else _inside(model)
    return model if inside is model else unwrapped(inside)


def uncompiled(model: nn.Module) -> nn.Module:
    """Return the network with every compiled module in it replaced by the module itself.

    The wrapper puts a prefix before the names of the weights, cannot be traced, and computes other bits on
    other machines. Raises `UserError` for a compiled function or method, naming its module.
    """
    model = _inside(model)
    for name, module in model.named_modules():  # it visits the children that are assigned here
        for child, value in module._modules.items():
            module._modules[child] = _inside(value) if value is not None else None
        module._compiled_call_impl = None  # of `module.compile()`
        for key, value in {**vars(module), "forward": module.forward}.items():
            if hasattr(value, _FUNCTION):
                where = f"module {name} ({type(module).__name__})" if name else type(module).__name__
                raise UserError(f"{key} of {where} is compiled by torch.compile: use the plain function")
    return model


def _inside(module: nn.Module) -> nn.Module:
    return module.get_submodule(_INSIDE) if _INSIDE in module._modules else module
