"""Whether networks answer the examples that a user gives, asked before anything is computed from them."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Within the context a network is in evaluation mode; after it every module is as it was."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training


@torch.no_grad()
def check_answers(
    model: nn.Module, images: torch.Tensor, labels: torch.Tensor | None = None, name: str = "images"
) -> None:
    """Raise `ValueError` unless a network answers images and has a class for each of their labels.

    `images` has a first axis of examples, of which the network gets a copy of the first two; `name` is that
    of the argument. `labels`, if given, are int64 (examples, ...).
    """
    if not len(images):
        raise ValueError(f"{name}: there are no examples")
    if labels is not None and len(labels) != len(images):
        raise ValueError(f"{len(images)} images, but {len(labels)} labels")
    kind, first = type(model).__name__, images[:2].clone()
    try:
        with evaluating(model):
            answers = model(first)
    except Exception as error:  # whatever a user's code raises
        shown = f"{str(first.dtype).removeprefix('torch.')} {tuple(first.shape)} on {first.device}"
        raise ValueError(f"{name}: {kind} fails on the first ones, {shown}: {error}") from error
    if labels is None:
        return
    shape = tuple(answers.shape) if isinstance(answers, torch.Tensor) else type(answers).__name__
    labelled = tuple(labels[:2].shape)
    if shape == labelled and len(labelled) > 1:
        raise ValueError(
            f"labels: expected the class of each example, not a number for each class: {labelled} for logits "
            f"{shape}; of one-hot labels give labels.argmax(dim=-1)"
        )
    if shape[:-1] != labelled:
        raise ValueError(
            f"{kind}: expected logits {(*labelled, 'classes')} as its answers for labels {labelled}, "
            f"not {shape}"
        )
    classes = answers.shape[-1]
    wrong = labels[(labels < 0) | (labels >= classes)]
    if len(wrong):
        raise ValueError(
            f"labels: expected integers from 0 to {classes - 1}, for {classes} classes, not {wrong[0].item()}"
        )
