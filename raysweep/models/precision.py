"""In which precision networks are evaluated."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from raysweep.choices import check_names
from raysweep.vocabulary import WAYS, Precision, Way


@dataclass(frozen=True)
class Numerics:
    """How a network is evaluated: its precision, and the ways that may be tried, the best first.

    `bfloat16` is autocast of the forward pass; the risks are summed up from logits of float32. `tf32` rounds
    the factors of products and convolutions to 10 bits, on GPUs that can.
    """

    precision: str = Precision.FLOAT32
    ways: tuple[Way, ...] = WAYS["capture"]


FLOAT32 = Numerics()


def type_of_examples(model: nn.Module, example: torch.Tensor) -> torch.dtype:
    """Return the type of floating-point examples for a network: that of its weights, where it has any."""
    return next((p.dtype for p in model.parameters() if p.is_floating_point()), example.dtype)


@contextmanager
def computing_in(precision: str, device: torch.device) -> Iterator[None]:
    """Within the context networks on the device compute in this precision. Raises `ValueError`."""
    check_names("precision", [precision], tuple(Precision))
    if precision == Precision.BFLOAT16:
        with torch.autocast(device.type, torch.bfloat16):
            yield
    elif precision == Precision.TF32:
        with _tf32():
            yield
    else:
        yield


@contextmanager
def _tf32() -> Iterator[None]:
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    products.allow_tf32 = convolutions.allow_tf32 = True
    try:
        yield
    finally:
        products.allow_tf32, convolutions.allow_tf32 = before
