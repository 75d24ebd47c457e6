"""Alignments that take long: where a worker notes how far they are, and from where it goes on."""

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch

from raysweep.accelerator.environment import environment
from raysweep.alignment.progress import Progress, Tensors
from raysweep.digest import digest
from raysweep.plan.identity import AlignmentJob
from raysweep.store.resume_points import ResumePoints
from raysweep.version import code_digest


class Resuming:
    """The resume points of the alignments of a worker, of which each writes one every so many seconds.

    An alignment goes on from the point of another process alone if that had the same inputs, the same code,
    and the same hardware and libraries: so its bits are those of an alignment that was never interrupted.
    """

    def __init__(self, points: ResumePoints, seconds: float, device: str) -> None:
        """Resume alignments on a device (cpu or cuda)."""
        self._points, self._seconds, self._device = points, seconds, device
        self._kept: set[str] = set()

    def of(self, job: AlignmentJob, inputs: Sequence[str]) -> Progress:
        """Return the progress of a job, whose networks are the `inputs`, by name and digest."""
        where = environment(self._device)
        origin = digest([inputs, where["hardware"], where["software"], code_digest()])
        found = self._points.read(job.alignment_id, origin)
        if found:
            self._kept.add(job.alignment_id)

        def write(tensors: Tensors) -> None:
            self._kept.add(job.alignment_id)
            self._points.write(job.alignment_id, origin, tensors)

        return _Noted(found, self._seconds, write)

    def drop(self, alignment_ids: Iterable[str]) -> None:
        """Remove the resume points of alignments that are stored."""
        for alignment_id in self._kept & set(alignment_ids):
            with contextlib.suppress(OSError):  # the next run removes it
                self._points.drop(alignment_id)
            self._kept.remove(alignment_id)


class _Noted(Progress):
    def __init__(
        self, found: Mapping[str, torch.Tensor], seconds: float, write: Callable[[Tensors], None]
    ) -> None:
        super().__init__(found)
        self._seconds, self._write, self._noted = seconds, write, time.monotonic()

    def note(self, compute: Callable[[], Tensors]) -> None:
        if time.monotonic() - self._noted >= self._seconds:
            self._write(compute())
            self._noted = time.monotonic()
