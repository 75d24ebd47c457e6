"""What a method of alignment is offered, in a sweep as in `raysweep.merge`: the arguments of `OFFERED`."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import nn

from raysweep.alignment.progress import Progress
from raysweep.symmetry import PermutationSpec

Offer = Mapping[str, Callable[[], Any]]  # what computes an argument, by its name
State = dict[str, torch.Tensor]


def offer_of(
    spec: PermutationSpec,
    states: Sequence[State],
    *,
    scaled_spec: Callable[[], PermutationSpec],
    rotated_spec: Callable[[], PermutationSpec],
    models: Callable[[], list[nn.Module]],
    images: Callable[[], torch.Tensor],
    labels: Callable[[], torch.Tensor],
    similarities: Callable[[], Any],
    progress: Callable[[], Progress] = Progress,
    stack: int = 1,
) -> Offer:
    """Return what computes each argument of a method's function, from the states of two networks or more.

    Of stacks, the first `stack` states are those of the target and the others those of the source. What takes
    time is computed for functions that name it alone.
    """
    stacked = stack > 1
    return {
        "spec": lambda: spec,
        "scaled_spec": scaled_spec,
        "rotated_spec": rotated_spec,
        "blocks": lambda: spec.blocks,
        "states": lambda: states,
        "networks": lambda: states,  # as functions call them that take modules too
        "target": lambda: states[:stack] if stacked else states[0],
        "source": lambda: states[stack:] if stacked else states[-1],
        "models": models,
        "images": images,
        "labels": labels,
        "similarities": similarities,
        "progress": progress,
    }
