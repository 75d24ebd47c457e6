"""Which parameters of a network a forward pass reads."""

import copy
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode


class _Reads(TorchDispatchMode):
    """Notes the memory of every tensor that an operation is given; a view lies in that of its tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.memory: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        leaves = pytree.tree_leaves((args, kwargs))
        self.memory |= {x.untyped_storage().data_ptr() for x in leaves if isinstance(x, torch.Tensor)}
        return func(*args, **(kwargs or {}))


def read_parameters(model: nn.Module, example: torch.Tensor, *, training: bool) -> set[str]:
    """Return the (first) names of the parameters that one forward pass on a batch reads in a mode.

    The pass runs in a copy and leaves the random state as it was. Raises what the network raises.
    """
    network, reads = copy.deepcopy(model).train(training), _Reads()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        with reads:
            network(example)
    parameters = network.named_parameters()
    return {name for name, p in parameters if p.untyped_storage().data_ptr() in reads.memory}


def read_in_training_only(model: nn.Module, example: torch.Tensor) -> set[str]:
    """Return the names of the parameters that a network reads in training mode and not in evaluation mode.

    Such are the heads of auxiliary classifiers. There are none where the network fails in training mode.
    """
    evaluated = read_parameters(model, example, training=False)
    if len(evaluated) == sum(1 for _ in model.named_parameters()):
        return set()
    try:
        return read_parameters(model, example, training=True) - evaluated
    except Exception:  # whatever the network raises: the plan and training say it
        return set()
