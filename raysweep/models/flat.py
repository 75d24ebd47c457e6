"""A network whose state lies in one vector, so that mixing networks is vector arithmetic."""

from collections.abc import Hashable, Mapping, Sequence

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _NormBase

from raysweep.models.precision import FLOAT32, Numerics

State = Mapping[str, torch.Tensor]

ALIGNED = 64  # tensors begin at multiples of this many bytes: kernels of CUDA read several numbers at once


class FlatNetwork:
    """Holds a module in evaluation mode; writing to `vector` changes the module in place.

    The vector holds the parameters and then the floating-point buffers of the state, so that mixing networks
    also mixes the running statistics of batch norm. Integers and masks cannot be mixed: `load` copies them.
    The weights of convolutions lie in the vector with the channels last: torch would otherwise copy them at
    every call that follows a `ChannelLayerNorm`, a sixth of the time of VGG-16. Raises `ValueError` when the
    floating-point tensors are not of one type.

    `numerics` says how the network is evaluated. Networks that are made with an equal `architecture` compute
    the same function of their states, so they share compiled code.
    """

    def __init__(
        self, model: nn.Module, numerics: Numerics = FLOAT32, architecture: Hashable | None = None
    ) -> None:
        self.numerics, self.architecture = numerics, architecture
        self.model = model.eval().requires_grad_(False)
        state = _evaluated_state(model)
        tensors = {name: tensor for name, tensor in state.items() if tensor.is_floating_point()}
        if len({tensor.dtype for tensor in tensors.values()}) > 1:
            raise ValueError("the parameters and buffers of the network are of different types")
        self._discrete = {name: tensor for name, tensor in state.items() if name not in tensors}
        self._shapes = {name: tensor.shape for name, tensor in tensors.items()}
        # A subclass may want to view its weights as they were made.
        convolutions = {id(m.weight) for m in model.modules() if type(m) is nn.Conv2d}
        self._channels_last = {name for name, tensor in tensors.items() if id(tensor) in convolutions}
        self.vector = torch.cat([self._flat(name, tensor) for name, tensor in tensors.items()])
        for name, view in self.views(self.vector).items():
            tensors[name].data = view

    def load(self, state: State) -> None:
        """Take over all tensors of a state. Raises `ValueError` when one is missing or of another shape."""
        self.vector.copy_(self.flatten(state))
        self.load_discrete([state])

    def load_discrete(self, states: Sequence[State]) -> None:
        """Take over the integers and masks that states share, before they are mixed.

        Raises `ValueError` when a tensor is missing or has another shape, and where the states differ in
        tensors, naming them.
        """
        for name, own in self._discrete.items():
            for state in states:
                _check_shape(state, name, own.shape)
        differing = [
            name
            for name in self._discrete
            if any(not torch.equal(state[name], states[0][name]) for state in states[1:])
        ]
        if differing:
            raise ValueError(
                f"networks that differ in {', '.join(differing)} cannot be mixed: these are not "
                "floating-point numbers"
            )
        for name, own in self._discrete.items():
            own.copy_(states[0][name])

    def flatten(self, state: State) -> torch.Tensor:
        """Return the state's floating-point tensors as one new vector, in the order of `vector`.

        Raises `ValueError` when a tensor is missing or has another shape.
        """
        for name, shape in self._shapes.items():
            _check_shape(state, name, shape)
        return torch.cat([self._flat(name, state[name].to(self.vector)) for name in self._shapes])

    def views(self, vector: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the tensors of the state, by name, as views of a vector like `vector`."""
        parts = vector.split([_padded(shape.numel(), vector) for shape in self._shapes.values()])
        return {name: self._shaped(name, part) for name, part in zip(self._shapes, parts, strict=True)}

    def _flat(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        values = (tensor.permute(0, 2, 3, 1) if name in self._channels_last else tensor).reshape(-1)
        return functional.pad(values, (0, _padded(len(values), values) - len(values)))

    def _shaped(self, name: str, part: torch.Tensor) -> torch.Tensor:
        shape = self._shapes[name]
        values = part[: shape.numel()]
        if name not in self._channels_last:
            return values.view(shape)
        filters, channels, height, width = shape
        return values.view(filters, height, width, channels).permute(0, 3, 1, 2)


def _padded(length: int, like: torch.Tensor) -> int:
    """Return how many entries of a vector a tensor of this length takes, with the padding behind it."""
    step = ALIGNED // like.element_size()
    return -(-length // step) * step


def _check_shape(state: State, name: str, shape: torch.Size) -> None:
    if name not in state or state[name].shape != shape:
        raise ValueError(f"tensor {name}: expected shape {tuple(shape)}")


def _evaluated_state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return parameters and stored buffers without the batch counters of torch's norms, which only training
    reads."""
    counters = {
        id(module.num_batches_tracked)
        for module in model.modules()
        if isinstance(module, _NormBase) and module.num_batches_tracked is not None
    }
    saved = model.state_dict().keys()
    buffers = {name: b for name, b in model.named_buffers() if name in saved and id(b) not in counters}
    return {**dict(model.named_parameters()), **buffers}
