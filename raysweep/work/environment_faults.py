"""Which errors are due to the place where work is done, and may not occur on another node."""

import errno

import torch

from raysweep.errors import SpecError, UserError
from raysweep.version import CodeDiffers

DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}


def due_to_node(error: BaseException | None) -> bool:
    """Whether an error may be due to the node: data or modules are missing, or CUDA or a disk fails.

    The driver has read the data and built the networks when it planned, so that bad input is not to be
    expected.
    """
    match error:
        case SpecError() | torch.OutOfMemoryError():
            return False
        case UserError() | ImportError() | CodeDiffers():
            return True
        case OSError():
            return error.errno in DISK
        case RuntimeError():
            return "CUDA error" in str(error) or "No CUDA GPUs" in str(error)
    return False
