"""A network whose state lies in one vector, so that mixing networks is vector arithmetic."""

from collections.abc import Mapping

import torch
from torch import nn


class FlatNetwork:
    """Holds a module in evaluation mode; writing to `vector` changes the module in place.

    The vector holds the parameters and then the floating-point buffers of the state, so that mixing networks
    also mixes the running statistics of batch norm. Integer buffers are left alone. Raises `ValueError`
    when these tensors are not of one type.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model.eval().requires_grad_(False)
        tensors = _floating_state(model)
        if len({tensor.dtype for tensor in tensors.values()}) > 1:
            raise ValueError("the parameters and buffers of the network are of different types")
        self._shapes = {name: tensor.shape for name, tensor in tensors.items()}
        self.vector = torch.cat([tensor.reshape(-1) for tensor in tensors.values()])
        offset = 0
        for tensor in tensors.values():
            tensor.data = self.vector[offset : offset + tensor.numel()].view(tensor.shape)
            offset += tensor.numel()

    def flatten(self, state: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the state's tensors as one new vector, in the order of `vector`.

        Raises `ValueError` when a tensor is missing or has another shape.
        """
        for name, shape in self._shapes.items():
            if name not in state or state[name].shape != shape:
                raise ValueError(f"tensor {name}: expected shape {tuple(shape)}")
        parts = [state[name].reshape(-1) for name in self._shapes]
        return torch.cat(parts).to(self.vector)


def _floating_state(model: nn.Module) -> dict[str, torch.Tensor]:
    saved = model.state_dict().keys()
    buffers = {name: b for name, b in model.named_buffers() if name in saved and b.is_floating_point()}
    return {**dict(model.named_parameters()), **buffers}
