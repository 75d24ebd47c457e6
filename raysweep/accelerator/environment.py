"""What a record says of the machine and the libraries, because bits may depend on them."""

import platform
from collections.abc import Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path

import torch

from raysweep import __version__


@lru_cache(maxsize=2)
def environment(device: str) -> dict[str, str]:
    """Return the versions, the machine and the hardware with which work on a device (cpu or cuda) runs.

    What the device lacks has no entry. `hardware` is the model of the GPU, or the kind of processor with the
    vector instructions that torch uses on it. `software` is one line with the versions of what computes on
    the device.
    """
    found = {
        "raysweep": __version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "node": platform.node(),
        "ray": _version("ray"),
        "lapx": _version("lapx"),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "hardware": _hardware(device),
    }
    if processor := _processor():
        found["cpu"] = processor
    if device == "cuda":
        found["gpu"] = torch.cuda.get_device_name()
        found["cuda"], found["cudnn"] = str(torch.version.cuda), str(torch.backends.cudnn.version())
        found["triton"] = _version("triton")
    return {**found, "software": _software(found)}


def continued(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of work that began in one environment and was resumed in another.

    Both values are kept, separated by a semicolon, of everything in which the two differ.
    """
    found = {**before, **now}
    for name in before.keys() & now.keys():
        known = before[name].split("; ")
        found[name] = "; ".join(known if now[name] in known else [*known, now[name]])
    return found


def _hardware(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def _software(found: Mapping[str, str]) -> str:
    names = {"torch": "torch", "cuda": "CUDA", "cudnn": "cuDNN", "triton": "Triton"}
    return ", ".join(f"{name} {found[key]}" for key, name in names.items() if key in found)


def _processor() -> str:
    """Return the model of the processor, or nothing where the system does not tell it in Linux's way."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "none"
