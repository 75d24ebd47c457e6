"""Layers whose input is the data alone: a mixture of networks gives the mixture of their responses."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import fx, nn

from raysweep.data.resident import unwritten
from raysweep.models.flat import FlatNetwork
from raysweep.symmetry.tracing import traced_graph
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
        self.layers = _found(network.model) if find else []
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


def _found(model: nn.Module) -> list[nn.Module]:
    """Find them in the traced graph, which shows every way in which an input depends on parameters.

    There are none in a network that cannot be traced because its control flow depends on tensors, nor in one
    with hooks, which may do anything.
    """
    if any(module._forward_hooks or module._forward_pre_hooks for module in model.modules()):
        return []
    try:
        graph = traced_graph(model)
    except Exception:  # whatever the user's code does with the stand-ins that tracing gives it
        return []
    return [
        model.get_submodule(str(node.target))
        for node in _of_the_data(model, graph)
        if node.op == "call_module"
    ]


def _of_the_data(model: nn.Module, graph: fx.Graph) -> Iterator[fx.Node]:
    """Yield the nodes of linear layers that are called once, on what is computed from the data alone."""
    calls = Counter(node.target for node in graph.nodes if node.op == "call_module")
    state = {name for name, _ in (*model.named_parameters(), *model.named_buffers())}
    data: set[fx.Node] = set()
    for node in graph.nodes:
        if not data.issuperset(node.all_input_nodes) or (node.op == "get_attr" and node.target in state):
            continue
        module = model.get_submodule(str(node.target)) if node.op == "call_module" else None
        if module is None or not _holds_state(module):
            data.add(node)
        elif calls[node.target] == 1 and _is_linear(module):
            yield node


def _holds_state(module: nn.Module) -> bool:
    return any(True for _ in (*module.parameters(), *module.buffers()))


def _is_linear(module: nn.Module) -> bool:
    """Whether the output is linear in the parameters of a module; with a normalised weight it is not."""
    return type(module) in LINEAR and "weight" in dict(module.named_parameters(recurse=False))
