"""How much of a machine the process that trains a trial uses, sampled now and then for MLflow to show."""

import contextlib
import os
import resource
import time
from pathlib import Path

import torch

EVERY = 10.0  # seconds between two samples
MEGABYTE = 2**20

Sample = dict[str, float]


class SystemUse:
    """Samples this process, which trials that are packed share.

    A sample has its `time` (seconds since 1970), `cpu_utilization_percentage` (100 for each core at work) and
    `memory_megabytes`; where a GPU is used also `gpu_memory_megabytes` of this process, and, if NVIDIA's
    Python library is installed, `gpu_utilization_percentage` of the card.
    """

    def __init__(self, device: str) -> None:
        self._device = device
        self._samples: list[Sample] = []
        self._level: int | None = None
        self._begin()

    def look(self, level: int) -> None:
        """Take a sample of the process that trains a level, if the last one is old enough."""
        self._level = level
        if time.monotonic() - self._since >= EVERY:
            self._take()

    def taken(self, level: int) -> list[Sample]:
        """Take a sample, and return all since the last call; none of a level that was not trained here."""
        if self._level != level:
            return []
        self._take()
        samples, self._samples = self._samples, []
        return samples

    def _begin(self) -> None:
        self._since, self._processor = time.monotonic(), time.process_time()

    def _take(self) -> None:
        passed, worked = time.monotonic() - self._since, time.process_time() - self._processor
        sample = {
            "time": time.time(),
            "cpu_utilization_percentage": 100 * worked / max(passed, 1e-3),
            "memory_megabytes": _resident() / MEGABYTE,
        }
        if self._device == "cuda":
            sample["gpu_memory_megabytes"] = torch.cuda.memory_reserved() / MEGABYTE
            with contextlib.suppress(ImportError, RuntimeError):  # the library is missing or does not answer
                sample["gpu_utilization_percentage"] = float(torch.cuda.utilization())
        self._samples.append(sample)
        self._begin()


def _resident() -> float:
    """Return the bytes of memory that this process holds, or held at most where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
