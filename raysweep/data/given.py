"""Examples as users give them: as tensors, or as a loader of batches."""

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from raysweep.data.resident import Split

Images = torch.Tensor | Iterable[Any]
FORMS = "a tensor with a first axis of examples, or batches such as a DataLoader yields"


def images_of(images: Images, name: str = "images") -> torch.Tensor:
    """Return images as one tensor (examples, ...).

    `images` is such a tensor or yields batches, of which each is a tensor or begins with one, as (images,
    labels) does. Raises `TypeError` for anything else, `ValueError` where there is none.
    """
    if isinstance(images, torch.Tensor):
        return images
    return _joined([batch[0] for batch in _batches(images, name)], name)


def examples_of(images: Images, labels: torch.Tensor | None) -> Split:
    """Return images with their labels, int64 (examples,).

    Without `labels`, `images` yields batches (images, labels). Raises `TypeError` for anything else, and
    `ValueError` for no examples and for numbers of images and labels that differ.
    """
    if labels is None:
        if isinstance(images, torch.Tensor):
            raise TypeError("labels: expected a tensor of labels for a tensor of images")
        batches = list(_batches(images, "images"))
        if any(len(batch) < 2 for batch in batches):
            raise TypeError("images: expected batches (images, labels) where no labels are given")
        split = Split(*(_joined([batch[part] for batch in batches], "images") for part in (0, 1)))
    elif isinstance(labels, torch.Tensor):
        split = Split(images_of(images), labels)
    else:
        raise TypeError(f"labels: expected a tensor of labels (examples,), not {type(labels).__name__}")
    if len(split.images) != len(split.labels):
        raise ValueError(f"{len(split.images)} images, but {len(split.labels)} labels")
    if split.labels.dim() != 1 or split.labels.is_floating_point():
        raise TypeError(f"labels: expected integers (examples,), not {_described(split.labels)}")
    return Split(split.images, split.labels.long())


def _batches(given: Any, name: str) -> Iterator[tuple[torch.Tensor, ...]]:
    if isinstance(given, str | dict) or not isinstance(given, Iterable):
        raise TypeError(f"{name}: expected {FORMS}, not {_described(given)}")
    for batch in given:
        parts = (batch,) if isinstance(batch, torch.Tensor) else batch
        if not (isinstance(parts, tuple | list) and parts and isinstance(parts[0], torch.Tensor)):
            raise TypeError(f"{name}: expected {FORMS}, not batches of {_described(batch)}")
        yield tuple(parts)


def _joined(parts: list[torch.Tensor], name: str) -> torch.Tensor:
    if not parts:
        raise ValueError(f"{name}: there is no batch; an iterator can be read only once")
    return torch.cat(parts)


def _described(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    return f"a value of type {type(value).__name__}"
