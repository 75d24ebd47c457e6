"""Why a process that was given a GPU cannot use it."""

import re
from pathlib import Path

import torch

LEAST_DRIVERS = {12: 525, 13: 580}  # by the major version of CUDA, from NVIDIA's table of compatibility
DRIVER = Path("/proc/driver/nvidia/version")


def why_no_cuda(built: str | None = torch.version.cuda, driver: Path = DRIVER) -> str | None:
    """Return what prevents torch from using a GPU on this machine; None where no reason is known.

    `built` is the version of CUDA with which torch was built, and `driver` the file in which NVIDIA's kernel
    module says its version; it is missing where there is no GPU.
    """
    if built is None:
        return f"PyTorch {torch.__version__} was built without CUDA; install a build for CUDA"
    least = LEAST_DRIVERS.get(int(built.split(".")[0]))
    found = re.search(r"Kernel Module.*?  ((\d+)\.[\d.]+)", driver.read_text()) if driver.exists() else None
    if least and found and int(found[2]) < least:
        return (
            f"PyTorch {torch.__version__} uses CUDA {built}, which needs NVIDIA's driver {least} or newer, "
            f"and this machine has {found[1]}"
        )
    return None
