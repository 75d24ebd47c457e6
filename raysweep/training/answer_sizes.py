"""The memory that a forward pass takes, from which the number of examples in one follows."""

from typing import Any

import torch
from torch import nn

from raysweep.data.resident import unwritten


@torch.no_grad()
def answer_bytes(model: nn.Module, examples: torch.Tensor) -> dict[nn.Module, int]:
    """Return the bytes per example of the outputs of the network and of every module with parameters.

    `examples` has the shape (examples, ...); a few are enough.
    """
    answers: dict[nn.Module, int] = {}

    def note(module: nn.Module, arguments: Any, answer: object) -> None:
        if isinstance(answer, torch.Tensor):
            answers[module] = answer.nbytes // len(examples)

    modules = {model, *(module for module in model.modules() if any(True for _ in module.parameters()))}
    hooks = [module.register_forward_hook(note) for module in modules]
    try:
        with unwritten(examples):
            model(examples)
    finally:
        for hook in hooks:
            hook.remove()
    return answers
