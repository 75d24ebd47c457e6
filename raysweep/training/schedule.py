"""Learning-rate schedules as pure functions of the step."""

import math
from dataclasses import dataclass

from raysweep.training.names import SCHEDULES

ONE_CYCLE_RISE = 0.3  # share of the steps on the way up
ONE_CYCLE_START = 1 / 25  # of the peak
ONE_CYCLE_END = 1e-5  # of the peak


@dataclass(frozen=True)
class Schedule:
    """A schedule over `steps` optimiser steps with its `peak` rate.

    `milestones` are the steps at which the rate is multiplied by `gamma` (read by that schedule alone);
    any schedule rises linearly from zero over its first `warmup` steps.
    """

    name: str
    peak: float
    steps: int
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    warmup: int = 0

    def __post_init__(self) -> None:
        if self.name not in SCHEDULES:
            raise ValueError(f"unknown schedule {self.name!r}; valid: {', '.join(SCHEDULES)}")

    def rate(self, step: int) -> float:
        """Return the learning rate of optimiser step `step`, counted from 0."""
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return self.peak * rise * self._share(step)

    def _share(self, step: int) -> float:
        """The rate as a share of the peak. `one_cycle` is Smith and Topin 2017 with cosine slopes."""
        if self.name == "milestones":
            return self.gamma ** sum(step >= milestone for milestone in self.milestones)
        if self.name == "cosine":
            return _cosine(1.0, 0.0, step / self.steps)
        if self.name == "one_cycle":
            top = max(1.0, ONE_CYCLE_RISE * self.steps)
            if step < top:
                return _cosine(ONE_CYCLE_START, 1.0, step / top)
            return _cosine(1.0, ONE_CYCLE_END, (step - top) / max(1.0, self.steps - 1 - top))
        return 1.0


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
