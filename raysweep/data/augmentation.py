"""Random changes of a batch of training images, by name or of the user's own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from raysweep.data.registry import AUGMENTATIONS
from raysweep.registry import imported, taken

NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Augment:
    """`draw(count, seed)` returns random numbers, (kinds, count); `apply(images, black, draws)` uses them."""

    draw: Callable[[int, int], torch.Tensor]
    apply: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def augmentation(name: str, options: Mapping[str, Any] = NOTHING) -> Augment:
    """Return an augmentation by its name, or one of the user's own, with further arguments of its function.

    Raises `ValueError` for an unknown name and `UserError` for a user's function that cannot be imported.
    """
    function = _with(AUGMENTATIONS.function(name), options)
    if AUGMENTATIONS.is_own(name):
        return Augment(_draw_seed, lambda images, black, draws: _own(name, function, images, draws))
    draw = imported(AUGMENTATIONS[name].draw)
    return Augment(_with(draw, {key: options[key] for key in taken(draw, options)}), function)


def _with(function: Callable[..., Any], options: Mapping[str, Any]) -> Callable[..., Any]:
    return partial(function, **options) if options else function


def _draw_seed(count: int, seed: int) -> torch.Tensor:
    """Return (1, 1): the seed of the generator from which a user's function draws."""
    return torch.tensor([[seed]])


def _own(
    name: str, function: Callable[..., object], images: torch.Tensor, draws: torch.Tensor
) -> torch.Tensor:
    """Call a user's function with a batch and a generator of the CPU, whatever the device of the batch.

    Raises `ValueError` unless it returns a batch of the same shape and type, on the same device.
    """
    kind = images.shape, images.dtype, images.device
    found = function(images, torch.Generator().manual_seed(int(draws)))
    if not isinstance(found, torch.Tensor) or (found.shape, found.dtype, found.device) != kind:
        what = (
            f"{tuple(found.shape)}, {found.dtype}, {found.device}"
            if isinstance(found, torch.Tensor)
            else type(found).__name__
        )
        expected = f"{tuple(images.shape)}, {images.dtype}, {images.device}"
        raise ValueError(
            f"augmentation {name!r} returns {what}; expected a tensor like the batch: {expected}"
        )
    return found
