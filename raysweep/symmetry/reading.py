"""Which parameters of a network a forward pass reads."""

import torch
from torch import nn

from raysweep.symmetry.listening import Everything, memory_of


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
    memory: set[int] = set()  # a view shares that of its tensor
    with Everything(lambda given, _: memory.update(map(memory_of, given))):
        model(example)
    return {name for name, parameter in model.named_parameters() if memory_of(parameter) in memory}
