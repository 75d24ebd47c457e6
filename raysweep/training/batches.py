"""What each optimiser step uses: its examples, the draws of its augmentation and the seed of its dropout."""

from dataclasses import dataclass, field

import torch

from raysweep.data.augmentation import augmentation
from raysweep.data.resident import Window
from raysweep.digest import seed_for
from raysweep.training.hyperparameters import Hyperparameters


@dataclass
class _Epoch:
    number: int = -1
    batches: tuple[torch.Tensor, ...] = field(default=())


class Batches:
    """The random part of every step, drawn on the CPU, so that it is the same for every device.

    The order of the examples in epoch e is drawn from a generator seeded by (order, data_seed, e);
    augmentation and dropout in step s are drawn from generators seeded by (order, data_seed, s).

    Where the data are streamed, the examples of some steps lie in a `window` at a time.
    """

    def __init__(
        self,
        examples: int,
        hyperparameters: Hyperparameters,
        device: torch.device,
        window: Window | None = None,
    ) -> None:
        self._examples, self._hyperparameters, self._device = examples, hyperparameters, device
        self._window, self._staged = window, range(0)
        self.per_epoch = hyperparameters.steps_per_epoch(examples)
        self._epoch = _Epoch()
        self._augmentation = augmentation(hyperparameters.augment, hyperparameters.augment_options)

    def size(self, step: int) -> int:
        """Return the number of examples of a step."""
        position = step % self.per_epoch
        return min(
            self._hyperparameters.batch_size, self._examples - position * self._hyperparameters.batch_size
        )

    def alike(self, step: int) -> int:
        """Return how many steps from this one on, within its epoch, have batches of its size."""
        left = self.per_epoch - step % self.per_epoch
        smaller = self._examples < self.per_epoch * self._hyperparameters.batch_size
        return max(1, left - smaller)

    def stage(self, steps: range) -> None:
        """Prepare steps of one size, of one epoch, whose examples are asked for next."""
        self._staged = steps
        if self._window:
            self._window.fill(torch.cat([self._order(step) for step in steps]))

    def examples(self, step: int) -> torch.Tensor:
        """Return the indices of a step's examples, int64 (examples,), on the device.

        These are rows of the window where the data are streamed.
        """
        if self._window is None:
            return self._order(step)
        first = (step - self._staged.start) * self.size(step)
        return torch.arange(first, first + self.size(step), device=self._device)

    def _order(self, step: int) -> torch.Tensor:
        """Return the indices of a step's examples in the data, on the host where these are streamed."""
        epoch, position = divmod(step, self.per_epoch)
        if epoch != self._epoch.number:
            generator = torch.Generator().manual_seed(self._seed("data order", epoch))
            order = torch.randperm(self._examples, generator=generator)
            if self._device.type == "cuda" and self._window is None:
                order = order.pin_memory().to(self._device, non_blocking=True)  # the host does not wait
            self._epoch = _Epoch(epoch, torch.split(order, self._hyperparameters.batch_size))
        return self._epoch.batches[position]

    def draws(self, step: int, count: int) -> torch.Tensor:
        """Return what the augmentation of a step's `count` examples draws, int64 (kinds, examples)."""
        return self._augmentation.draw(count, self._seed("augmentation", step))

    def seed_dropout(self, step: int) -> None:
        """Seed the global generators, from which a user's own network may draw, for this step.

        A network on a GPU may also draw on the CPU, for example to choose the layers that stochastic depth
        skips.
        """
        seed = self._seed("dropout", step)
        torch.default_generator.manual_seed(seed)
        if self._device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _seed(self, purpose: str, number: int) -> int:
        return seed_for(f"{purpose}{self._hyperparameters.order}", self._hyperparameters.data_seed, number)
