"""Which errors another node may not have."""

import errno

import pytest
import torch

from raysweep.errors import SpecError, UserError
from raysweep.training.loop import Diverged
from raysweep.version import CodeDiffers
from raysweep.work.environment_faults import due_to_node

NODE = [
    UserError("no files of cifar10"),
    ModuleNotFoundError("nets"),
    CodeDiffers("another version"),
    OSError(errno.ENOSPC, "no space left on device"),
    RuntimeError("CUDA error: uncorrectable ECC error"),
]
WORK = [
    Diverged("the loss is nan"),
    SpecError("not understood"),
    ArithmeticError("cannot be computed"),
    RuntimeError("shapes do not fit"),
    torch.OutOfMemoryError("CUDA out of memory"),
    OSError("the connection was reset"),
    None,
]


@pytest.mark.parametrize(
    ("error", "expected"), [*((each, True) for each in NODE), *((each, False) for each in WORK)]
)
def test_what_may_be_the_nodes_fault(error, expected):
    assert due_to_node(error) == expected
