"""The layers of a network that hold weights."""

from torch import nn

NORMS = (nn.LayerNorm, nn.RMSNorm)  # their weights may have several axes


def prunable(model: nn.Module) -> dict[str, str]:
    """Return the name of the weight of each layer by the layer's name, in the order of the network.

    A layer is a module with a parameter `weight` of two axes or more; norms are none. The last is the
    output layer. A layer that occurs twice is listed once.
    """
    layers = ((name, module) for name, module in model.named_modules() if not isinstance(module, NORMS))
    weights = ((name, getattr(module, "weight", None)) for name, module in layers)
    return {
        name: f"{name}.weight" if name else "weight"
        for name, weight in weights
        if isinstance(weight, nn.Parameter) and weight.dim() >= 2
    }
