"""What computed a result: this process's machine and libraries, and the driver that handed out the work."""

from dataclasses import asdict
from typing import Any

from raysweep.accelerator.environment import environment
from raysweep.version import Driver


def provenance(device: str, driver: Driver) -> dict[str, Any]:
    """Return what is recorded of a result on a device (cpu or cuda), by columns of `provenance`."""
    return {"device": device, **environment(device), **asdict(driver)}
