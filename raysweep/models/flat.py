"""A network whose parameters are views of one vector, so that mixing networks is vector arithmetic."""

from collections.abc import Mapping

import torch
from torch import nn


class FlatNetwork:
    """Holds a module in evaluation mode; writing to `vector` changes its parameters in place."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model.eval().requires_grad_(False)
        tensors = dict(model.named_parameters())
        self._shapes = {name: tensor.shape for name, tensor in tensors.items()}
        self.vector = torch.cat([tensor.reshape(-1) for tensor in tensors.values()])
        offset = 0
        for tensor in tensors.values():
            tensor.data = self.vector[offset : offset + tensor.numel()].view(tensor.shape)
            offset += tensor.numel()

    def flatten(self, state: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Return the state's parameters as one new vector, in the order of `vector`.

        Raises `ValueError` when a parameter is missing or has another shape.
        """
        for name, shape in self._shapes.items():
            if name not in state or state[name].shape != shape:
                raise ValueError(f"parameter {name}: expected shape {tuple(shape)}")
        parts = [state[name].reshape(-1) for name in self._shapes]
        return torch.cat(parts).to(self.vector)
