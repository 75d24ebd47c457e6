"""Layers that see the data alone: their response to a mixture of networks is the mixture of responses."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from raysweep.models.flat import FlatNetwork

LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class FirstLayers:
    """The linear layers of a network whose input depends on no parameter or buffer.

    Such a layer's response is linear in its weight and bias. Along a line or over a simplex it is therefore
    computed once per network instead of once per point. `response_bytes` and `logit_bytes`: what the answers
    of these layers and of the whole network take for one example.
    """

    def __init__(self, network: FlatNetwork, example: torch.Tensor) -> None:
        """Find them with a batch of one example, of shape (1, ...); the network's vector is lost."""
        self._model = network.model
        found, self.logit_bytes = _found(network, example)
        self.layers, self.response_bytes = list(found), sum(found.values())

    @torch.no_grad()
    def inputs(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return what each layer is given for a batch; nothing behind the last of them is computed."""
        seen: dict[nn.Module, torch.Tensor] = {}

        def keep(layer: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
            seen[layer] = given[0]
            if len(seen) == len(self.layers):
                raise _Enough

        hooks = [layer.register_forward_pre_hook(keep) for layer in self.layers]
        try:
            if hooks:
                self._model(images)
        except _Enough:
            pass
        finally:
            for hook in hooks:
                hook.remove()
        return [seen[layer] for layer in self.layers]

    @contextmanager
    def answering(self, responses: Sequence[torch.Tensor]) -> Iterator[None]:
        """Within the context the layers return these tensors instead of computing theirs."""
        for layer, response in zip(self.layers, responses, strict=True):
            layer.forward = lambda _, response=response: response
        try:
            yield
        finally:
            for layer in self.layers:
                del layer.forward


class _Enough(Exception):
    """All inputs have been seen."""


@torch.no_grad()
def _found(network: FlatNetwork, example: torch.Tensor) -> tuple[dict[nn.Module, int], int]:
    """Layers that are called once, and not with NaN when every parameter and buffer is NaN.

    With the bytes of their answers, and those of the network's.
    """
    calls: dict[nn.Module, list[tuple[bool, int]]] = {}

    def note(layer: nn.Module, given: tuple[torch.Tensor, ...], answer: torch.Tensor) -> None:
        calls.setdefault(layer, []).append((bool(given[0].isfinite().all()), answer.nbytes))

    hooks = [m.register_forward_hook(note) for m in network.model.modules() if type(m) in LINEAR]
    network.vector.fill_(torch.nan)
    logits = network.model(example)
    for hook in hooks:
        hook.remove()
    once = {layer: each[0] for layer, each in calls.items() if len(each) == 1}
    return {layer: nbytes for layer, (clean, nbytes) in once.items() if clean}, logits.nbytes
