"""What a record says of the machine and the libraries, because bits may depend on them."""

import platform
from functools import lru_cache
from importlib import metadata

import torch

from raysweep import __version__


@lru_cache(maxsize=2)
def environment(device: str) -> dict[str, str]:
    """Return the versions, the machine and the hardware with which work on a device (cpu or cuda) runs."""
    found = {
        "raysweep": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "node": platform.node(),
        "hardware": hardware(device),
    }
    if device == "cuda":
        found["cuda"], found["cudnn"] = str(torch.version.cuda), str(torch.backends.cudnn.version())
        found["triton"] = _version("triton")
    return found


def hardware(device: str) -> str:
    """Return the model of the GPU, or the kind of processor."""
    return torch.cuda.get_device_name() if device == "cuda" else platform.machine()


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"
