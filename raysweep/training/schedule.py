"""Learning-rate schedules as pure functions of the optimiser step."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from raysweep.choices import choose

ONE_CYCLE_RISE = 0.3  # the share of the steps in which the rate rises
ONE_CYCLE_START = 1 / 25  # of the peak
ONE_CYCLE_END = 1e-5  # of the peak


@dataclass(frozen=True)
class Schedule:
    """A learning-rate schedule over `steps` optimiser steps, with the largest rate `peak`.

    The schedule `milestones` multiplies the rate by `gamma` at each of the steps `milestones`; the other
    schedules ignore both. In the first `warmup` steps every schedule is scaled up linearly from zero. Raises
    `ValueError` for an unknown name.
    """

    name: str
    peak: float
    steps: int
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    warmup: int = 0

    def __post_init__(self) -> None:
        choose("schedule", self.name, _SHARES)

    def rate(self, step: int) -> float:
        """Return the learning rate of optimiser step `step`, counted from 0."""
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return self.peak * rise * _SHARES[self.name](self, step)


def _milestones(schedule: Schedule, step: int) -> float:
    return schedule.gamma ** sum(step >= milestone for milestone in schedule.milestones)


def _one_cycle(schedule: Schedule, step: int) -> float:
    """One cycle (Smith and Topin 2017, arXiv 1708.07120), with cosine instead of linear slopes."""
    top = max(1.0, ONE_CYCLE_RISE * schedule.steps)
    if step < top:
        return _cosine(ONE_CYCLE_START, 1.0, step / top)
    return _cosine(1.0, ONE_CYCLE_END, (step - top) / max(1.0, schedule.steps - 1 - top))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2


_SHARES: dict[str, Callable[[Schedule, int], float]] = {  # the rate of a step as a share of the peak
    "constant": lambda schedule, step: 1.0,
    "milestones": _milestones,
    "cosine": lambda schedule, step: _cosine(1.0, 0.0, step / schedule.steps),
    "one_cycle": _one_cycle,
}
