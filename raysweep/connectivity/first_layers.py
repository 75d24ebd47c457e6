"""Layers that see the data alone: their response to a mixture of networks is the mixture of responses."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import nn

from raysweep.models.flat import FlatNetwork

Responses = Sequence[Sequence[Sequence[torch.Tensor]]]  # their answers by chunk, network and layer
LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class FirstLayers:
    """The linear layers of a network whose input depends on no parameter or buffer.

    Such a layer's response is linear in its weight and bias. Along a line or over a simplex it is therefore
    computed once per network instead of once per point. What a forward pass takes for one example, in bytes:
    `response_bytes` the answers of these layers, `logit_bytes` that of the network, `largest_bytes` the
    largest answer of any module with parameters.
    """

    def __init__(self, network: FlatNetwork, examples: torch.Tensor) -> None:
        """Find them with a few examples, of shape (examples, ...); the network's vector is lost."""
        self._model = network.model
        found, answers = _found(network, examples)
        self.layers = list(found)
        self.response_bytes = sum(answers[layer] for layer in found)
        self.logit_bytes, self.largest_bytes = answers[network.model], max(answers.values())

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
def _found(network: FlatNetwork, examples: torch.Tensor) -> tuple[list[nn.Module], dict[nn.Module, int]]:
    """The layers, and what the answer of every module with parameters takes for an example.

    Such a layer is called once, and with the same input whatever the parameters and buffers are: NaN, which
    reaches all that is computed from them but for comparisons, or noise, of which comparisons see the sign.
    """
    generator = torch.Generator().manual_seed(0)
    noise = [torch.randn(len(network.vector), generator=generator) for _ in range(2)]
    runs = []
    for fill in (torch.tensor(torch.nan), *noise):
        network.vector.copy_(fill)
        runs.append(_run(network.model, examples))
    given, answers = runs[0]
    first = [
        layer
        for layer, inputs in given.items()
        if all(_is_same(each.get(layer, []), inputs[0]) for each, _ in runs)
    ]
    return first, answers


def _is_same(given: list[torch.Tensor], input: torch.Tensor) -> bool:
    return len(given) == 1 and torch.equal(given[0], input)


def _run(
    model: nn.Module, examples: torch.Tensor
) -> tuple[dict[nn.Module, list[torch.Tensor]], dict[nn.Module, int]]:
    """The inputs of the linear layers, and the bytes of the answers of modules with parameters."""
    given: dict[nn.Module, list[torch.Tensor]] = {}
    answers: dict[nn.Module, int] = {}

    def note(module: nn.Module, arguments: tuple[torch.Tensor, ...], answer: object) -> None:
        if isinstance(answer, torch.Tensor):
            answers[module] = answer.nbytes // len(examples)
        if _is_linear(module):
            given.setdefault(module, []).append(arguments[0].clone())

    modules = [module for module in model.modules() if any(True for _ in module.parameters())]
    hooks = [module.register_forward_hook(note) for module in modules]
    try:
        model(examples)
    finally:
        for hook in hooks:
            hook.remove()
    return given, answers


def _is_linear(module: nn.Module) -> bool:
    """Whether the answer is linear in what the network holds of a module; not so of a normalised weight."""
    return type(module) in LINEAR and "weight" in dict(module.named_parameters(recurse=False))
