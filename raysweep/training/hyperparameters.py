"""What determines each step of a training run, other than its weights and its data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from raysweep.training.moment import steps_per_epoch
from raysweep.training.registry import SETTINGS
from raysweep.training.schedule import Schedule


@dataclass(frozen=True)
class Hyperparameters:
    """What determines each step of a run, other than its weights and its data.

    `order` and `data_seed` seed all random numbers. `precision` is float32 or bfloat16 (autocast of the
    forward pass; the weights stay float32). With `drop_last`, an epoch omits the examples that do not fill
    its last batch. `optimiser_options` and `augment_options` are further arguments of these functions.
    """

    batch_size: int
    optimiser: str
    momentum: float
    nesterov: bool
    weight_decay: float
    schedule: Schedule
    data_seed: int
    order: str = ""
    augment: str = "none"
    precision: str = "float32"
    channels_last: bool = False
    drop_last: bool = False
    optimiser_options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    augment_options: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def settings(self) -> dict[str, Any]:
        """Return what the function of an optimiser may take, besides parameters and options."""
        return {key: self.schedule.peak if key == "learning_rate" else getattr(self, key) for key in SETTINGS}

    def steps_per_epoch(self, examples: int) -> int:
        return steps_per_epoch(examples, self.batch_size, self.drop_last)
