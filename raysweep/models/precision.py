"""In which precision networks are evaluated."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from raysweep.choices import check_names


@dataclass(frozen=True)
class Numerics:
    """How a network is evaluated: in one of the `PRECISIONS`, and compiled by torch.compile or not.

    `bfloat16` is autocast of the forward pass; the risks are summed up from logits of float32. `tf32` rounds
    the factors of products and convolutions to 10 bits, on GPUs that can.
    """

    precision: str = "float32"
    compile: bool = False


FLOAT32 = Numerics()
PRECISIONS = ("float32", "tf32", "bfloat16")


@contextmanager
def computing_in(precision: str, device: torch.device) -> Iterator[None]:
    """Within the context networks on the device compute in this precision. Raises `ValueError`."""
    check_names("precision", [precision], PRECISIONS)
    if precision == "bfloat16":
        with torch.autocast(device.type, torch.bfloat16):
            yield
    elif precision == "tf32":
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
