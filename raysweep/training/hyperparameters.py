"""What determines each step of a training run, other than its weights and its data."""

from dataclasses import dataclass

from raysweep.training.moment import steps_per_epoch
from raysweep.training.schedule import Schedule


@dataclass(frozen=True)
class Hyperparameters:
    """What determines each step of a run, other than its weights and its data.

    `order` and `data_seed` seed all random numbers. `precision` is float32 or bfloat16 (autocast of the
    forward pass; the weights stay float32). With `drop_last`, an epoch omits the examples that do not fill
    its last batch.
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

    def steps_per_epoch(self, examples: int) -> int:
        return steps_per_epoch(examples, self.batch_size, self.drop_last)
