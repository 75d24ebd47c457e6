"""Learning-rate schedules as pure functions of the optimiser step."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from raysweep.errors import UserError
from raysweep.registry import arguments, is_own
from raysweep.training.registry import SCHEDULES

ONE_CYCLE_RISE = 0.3  # the share of the steps in which the rate rises
ONE_CYCLE_START = 1 / 25  # of the peak
ONE_CYCLE_END = 1e-5  # of the peak


@dataclass(frozen=True)
class Schedule:
    """A learning-rate schedule over `steps` optimiser steps, with the largest rate `peak`.

    The schedule `milestones` multiplies the rate by `gamma` at each of the steps `milestones`; others may
    ignore both. In the first `warmup` steps every schedule is scaled up linearly from zero. `options` are
    further arguments of its function. Raises `ValueError` for an unknown name, and `UserError` for a user's
    schedule that cannot be imported.
    """

    name: str
    peak: float
    steps: int
    milestones: tuple[int, ...] = ()
    gamma: float = 0.1
    warmup: int = 0
    steps_per_epoch: int = 1
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        _ = self._called  # so that a wrong name is found at once

    def rate(self, step: int) -> float:
        """Return the learning rate of optimiser step `step`, counted from 0.

        Raises `UserError` where a user's schedule fails, or gives anything but a number from 0 on.
        """
        rise = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return self.peak * rise * self._share(step)

    @cached_property
    def _called(self) -> tuple[Callable[..., Any], dict[str, Any]]:
        """The function and its arguments, all but the step; looked up once, because every step asks."""
        function = SCHEDULES.function(self.name)
        offered = {
            "step": 0,
            "steps": self.steps,
            "steps_per_epoch": self.steps_per_epoch,
            "learning_rate": self.peak,
            "milestones": self.milestones,
            "gamma": self.gamma,
        }
        return function, arguments(function, offered, self.options)

    def _share(self, step: int) -> float:
        function, given = self._called
        given = {**given, "step": step} if "step" in given else given
        if not is_own(self.name):
            return float(function(**given))
        try:
            share = float(function(**given))
        except Exception as error:
            raise UserError(
                f"schedule {self.name!r} fails at step {step}: {type(error).__name__}: {error}"
            ) from error
        if not (math.isfinite(share) and share >= 0):
            raise UserError(f"schedule {self.name!r}: is {share} at step {step}, not a number from 0 on")
        return share


def constant() -> float:
    return 1.0


def at_milestones(step: int, milestones: tuple[int, ...], gamma: float) -> float:
    return gamma ** sum(step >= milestone for milestone in milestones)


def cosine(step: int, steps: int) -> float:
    return _cosine(1.0, 0.0, step / steps)


def one_cycle(step: int, steps: int) -> float:
    """One cycle (Smith and Topin 2017, arXiv 1708.07120), with cosine instead of linear slopes."""
    top = max(1.0, ONE_CYCLE_RISE * steps)
    if step < top:
        return _cosine(ONE_CYCLE_START, 1.0, step / top)
    return _cosine(1.0, ONE_CYCLE_END, (step - top) / max(1.0, steps - 1 - top))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * min(share, 1.0))) / 2
