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
    if isinstance(images, torch.Tensor) and images.dim():
        return images
    return _joined([batch[0] for batch in _batches(images, name)], name)


def read(images: Images, labels: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return images as one tensor, with the labels that are given or that all batches have.

    Raises `ValueError` where both are there: a loader that shuffles has another order than `labels`.
    """
    if isinstance(images, torch.Tensor):
        return images_of(images), labels
    batches = list(_batches(images, "images"))
    if labels is not None:
        if any(len(batch) > 1 for batch in batches):
            raise ValueError("labels: the batches have labels of their own; give these or labels, not both")
        return _joined([batch[0] for batch in batches], "images"), labels
    labelled = all(len(batch) > 1 for batch in batches)
    joined = [_joined([batch[part] for batch in batches], "images") for part in range(1 + labelled)]
    return joined[0], joined[1] if labelled else None


def examples_of(images: Images, labels: torch.Tensor | None) -> Split:
    """Return images with their labels, int64 (examples, ...): one of an example, or of each of its tokens.

    Without `labels`, `images` is such a pair of tensors, or yields batches (images, labels). Raises
    `TypeError` for anything else, and `ValueError` for no examples, for batches with labels beside `labels`,
    and for numbers of images and labels that differ, and devices.
    """
    images, found = read(images, labels)
    if not isinstance(found, torch.Tensor):
        given = "images without labels" if found is None else f"a value of type {type(found).__name__}"
        raise TypeError(
            f"labels: expected a tensor (examples, ...), or batches (images, labels), not {given}"
        )
    if not found.dim() or found.is_floating_point() or found.is_complex():
        raise TypeError(f"labels: expected integers (examples, ...), not {_described(found)}")
    if len(images) != len(found):
        raise ValueError(f"{len(images)} images, but {len(found)} labels")
    if images.device != found.device:
        raise ValueError(f"images on the device {images.device}, but labels on {found.device}")
    return Split(images, found.long())


def _batches(given: Any, name: str) -> Iterator[tuple[torch.Tensor, ...]]:
    scalar = isinstance(given, torch.Tensor) and not given.dim()
    if scalar or isinstance(given, str | dict) or not isinstance(given, Iterable):
        raise TypeError(f"{name}: expected {FORMS}, not {_described(given)}")
    for batch in (given,) if _is_pair(given) else given:
        parts = (batch,) if isinstance(batch, torch.Tensor) else batch
        if not (isinstance(parts, tuple | list) and parts and isinstance(parts[0], torch.Tensor)):
            raise TypeError(f"{name}: expected {FORMS}, not batches of {_described(batch)}")
        yield tuple(parts)


def _is_pair(given: Iterable[Any]) -> bool:
    """Whether these are images and their labels, of which there is then one batch."""
    if not isinstance(given, tuple | list) or len(given) != 2:
        return False
    return all(isinstance(each, torch.Tensor) for each in given) and given[0].dim() != given[1].dim()


def _joined(parts: list[torch.Tensor], name: str) -> torch.Tensor:
    if not parts:
        raise ValueError(f"{name}: there is no batch; an iterator can be read only once")
    shapes = sorted({tuple(part.shape[1:]) for part in parts})
    if len(shapes) > 1:
        raise ValueError(f"{name}: the examples of two batches have the shapes {shapes[0]} and {shapes[1]}")
    return torch.cat(parts)


def _described(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {tuple(value.shape)}"
    return f"a value of type {type(value).__name__}"
