"""Learning-rate schedules as pure functions of the step."""

import math

from raysweep.training.names import SCHEDULES

ONE_CYCLE_RISE = 0.3  # share of the steps on the way up
ONE_CYCLE_START = 1 / 25  # of the peak
ONE_CYCLE_END = 1e-5  # of the peak


def learning_rate(schedule: str, peak: float, step: int, steps: int) -> float:
    """Return the rate for optimiser step `step` of `steps` (counted from 0).

    `one_cycle` is Smith and Topin 2017 with cosine slopes. Raises `ValueError` for another name.
    """
    if schedule == "constant":
        return peak
    if schedule == "cosine":
        return peak * _cosine(1.0, 0.0, step / steps)
    if schedule == "one_cycle":
        top = max(1.0, ONE_CYCLE_RISE * steps)
        if step < top:
            return peak * _cosine(ONE_CYCLE_START, 1.0, step / top)
        return peak * _cosine(1.0, ONE_CYCLE_END, (step - top) / max(1.0, steps - 1 - top))
    raise ValueError(f"unknown schedule {schedule!r}; valid: {', '.join(SCHEDULES)}")


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
