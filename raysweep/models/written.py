"""What passes of a network write, by which the time of narrow networks on a CPU is estimated."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Written(TorchDispatchMode):
    """Counts the calls of torch that write tensors, and the `values` of images and tokens in these.

    Views write nothing, and the activations of dense layers, of two axes, stay in a core's cache.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls = self.values = 0

    def __torch_dispatch__(
        self,
        call: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        found = call(*args, **(kwargs or {}))
        if not call.is_view:
            self.calls += 1
            tensors = [each for each in tree_leaves(found) if isinstance(each, torch.Tensor)]
            self.values += sum(each.numel() for each in tensors if each.dim() > 2)
        return found
