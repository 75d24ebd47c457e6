"""Layers whose input is the data alone: a mixture of networks gives the mixture of their responses."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from raysweep.data.resident import unwritten
from raysweep.models.flat import FlatNetwork
from raysweep.symmetry.listening import Call, Listener, memory_of, tensors_in
from raysweep.training.answer_sizes import answer_bytes

Responses = Sequence[Sequence[Sequence[torch.Tensor]]]  # what the layers return, by chunk, network and layer
LINEAR = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class FirstLayers:
    """The linear layers of a network whose input depends on no parameter or buffer.

    Such a layer's response is linear in its weight and bias. Along a line or over a simplex it is therefore
    computed once per network instead of once per point. The memory of a forward pass is given in bytes per
    example: `response_bytes` for the responses of these layers, `logit_bytes` for the output of the network,
    and `largest_bytes` for the largest output of any module with parameters.
    """

    def __init__(self, network: FlatNetwork, examples: torch.Tensor, *, find: bool = True) -> None:
        """Measure the memory on a few `examples` of shape (examples, ...).

        With `find` false no layer counts as a first one.
        """
        self._model = network.model
        self.layers = _found(network.model, examples) if find else []
        answers = answer_bytes(network.model, examples)
        self.response_bytes = sum(answers[layer] for layer in self.layers)
        self.logit_bytes, self.largest_bytes = answers[network.model], max(answers.values())

    @torch.no_grad()
    def inputs(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the input of each layer for a batch; nothing after the last of them is computed."""
        seen: dict[nn.Module, torch.Tensor] = {}

        def keep(layer: nn.Module, given: tuple[torch.Tensor, ...], named: dict[str, torch.Tensor]) -> None:
            seen[layer] = given[0] if given else named["input"]
            if len(seen) == len(self.layers):
                raise _Enough

        hooks = [layer.register_forward_pre_hook(keep, with_kwargs=True) for layer in self.layers]
        try:
            if hooks:
                with unwritten(images):
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
            layer.forward = lambda *_, response=response, **__: response
        try:
            yield
        finally:
            for layer in self.layers:
                del layer.forward


class _Enough(Exception):
    """All inputs have been seen."""


def _found(model: nn.Module, examples: torch.Tensor) -> list[nn.Module]:
    """Find them by running the network, which shows every way in which an input depends on parameters.

    There are none in a network whose control flow depends on the values of tensors, nor in one with hooks,
    which may do anything.
    """
    if any(module._forward_hooks or module._forward_pre_hooks for module in model.modules()):
        return []
    layers = [module for module in model.modules() if _is_linear(module)]
    calls: Counter[nn.Module] = Counter()
    found: dict[nn.Module, None] = {}
    follower = _Dependence(model)

    def note(layer: nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        calls[layer] += 1
        if not any(follower.depends(each) for each in pytree.tree_leaves((given, named))):
            found[layer] = None

    hooks = [layer.register_forward_pre_hook(note, with_kwargs=True) for layer in layers]
    try:
        with unwritten(examples), torch.no_grad(), follower:
            model(examples)
    finally:
        for hook in hooks:
            hook.remove()
    return [] if follower.branches else [layer for layer in found if calls[layer] == 1]


class _Dependence(Listener):
    """Follows what depends on the parameters and buffers of a network.

    `branches` says whether a tensor was turned into a Python number, on which anything may depend. What is
    written to a tensor may be read through any other one in its memory: a view, or what it is a view of.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.branches = False
        state = (*model.parameters(), *model.buffers())
        self._dependent = {id(tensor): tensor for tensor in state}  # which this keeps alive
        self._written: dict[int, torch.Tensor] = {}  # one in each memory that such were written to

    def depends(self, value: Any) -> bool:
        return id(value) in self._dependent or (
            bool(self._written) and isinstance(value, torch.Tensor) and memory_of(value) in self._written
        )

    def heard(self, call: Call) -> Any:
        dependent = any(map(self.depends, call.tensors()))
        result, _, written = call.run_and_list()
        if dependent:
            self._dependent |= {id(tensor): tensor for tensor in tensors_in(result)}
            self._written |= {memory_of(tensor): tensor for tensor in written}
        self.branches |= bool(call.tensors()) and not tensors_in(result)
        return result


def _is_linear(module: nn.Module) -> bool:
    """Whether the output is linear in the parameters of a module; with a normalised weight it is not."""
    return type(module) in LINEAR and "weight" in dict(module.named_parameters(recurse=False))
