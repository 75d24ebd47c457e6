"""Which parameters of a network a forward pass reads."""

from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode


class _Reads(TorchDispatchMode):
    """Records the memory of every argument of an operation; a view shares that of its tensor."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.memory: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        leaves = pytree.tree_leaves((args, kwargs))
        self.memory |= {x.untyped_storage().data_ptr() for x in leaves if isinstance(x, torch.Tensor)}
        return func(*args, **(kwargs or {}))


def read_in_training_only(model: nn.Module, example: torch.Tensor) -> set[str]:
    """Return the (first) names of the parameters that a network reads in training mode and not in evaluation.

    Auxiliary classifiers are an example. A network that fails in training mode has none. The network runs on
    a batch in both modes, which may change its running statistics, and is left in evaluation mode; the random
    state is restored.
    """
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        evaluated = _read(model.eval(), example)
        if len(evaluated) == sum(1 for _ in model.parameters()):
            return set()
        try:
            return _read(model.train(), example) - evaluated
        except Exception:  # whatever the network raises; training it will raise the same
            return set()
        finally:
            model.eval()


def _read(model: nn.Module, example: torch.Tensor) -> set[str]:
    with _Reads() as reads:
        model(example)
    parameters = model.named_parameters()
    return {name for name, p in parameters if p.untyped_storage().data_ptr() in reads.memory}
