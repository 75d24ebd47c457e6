"""The layers of a network that hold weights."""

from torch import nn

NORMS = (nn.LayerNorm, nn.RMSNorm)  # their weights may have several axes


def prunable(model: nn.Module) -> dict[str, str]:
    """Return the name of the weight of each layer by the layer's name, in the order of the network.

    A layer is a module with a parameter `weight` of two axes or more; norms do not count. The last one is the
    output layer. A layer that occurs twice is listed once; layers whose weights are tied share the first name
    of the weight.
    """
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    layers = ((name, module) for name, module in model.named_modules() if not isinstance(module, NORMS))
    weights = ((name, module._parameters.get("weight")) for name, module in layers)
    return {name: names[id(weight)] for name, weight in weights if weight is not None and weight.dim() >= 2}


def matrices(model: nn.Module) -> list[str]:
    """Return the (first) names of the parameters of two axes or more, but for those of norms."""
    norms = {id(p) for module in model.modules() if isinstance(module, NORMS) for p in module.parameters()}
    return [name for name, p in model.named_parameters() if p.dim() >= 2 and id(p) not in norms]
