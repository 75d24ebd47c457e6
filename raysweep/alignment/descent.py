"""Gradient descent of a method that takes long, which another process can go on with."""

from collections.abc import Mapping

import torch

from raysweep.alignment.progress import Tensors, named, part


class Descent:
    """Tensors by name that an optimiser trains, step by step, on what a generator draws."""

    def __init__(
        self,
        tensors: Tensors,
        optimiser: torch.optim.Optimizer,
        generator: torch.Generator,
        found: Mapping[str, torch.Tensor],
    ) -> None:
        """Begin with the tensors, which the optimiser has in their order.

        Where there is any, go on instead from what `state` of another process returned, with the same bits.
        """
        self._tensors, self._optimiser, self._generator, self.step = tensors, optimiser, generator, 0
        if found:
            self._restore(found)

    def state(self) -> Tensors:
        """Return from where another process can go on, on the CPU."""
        scalars = {"step": torch.tensor(self.step), "generator": self._generator.get_state()}
        moments: dict[int, Tensors] = self._optimiser.state_dict()["state"]
        kinds = {"tensors": self._tensors, **{_moments(place): own for place, own in moments.items()}}
        tensors = (named(kind, own) for kind, own in kinds.items())
        return scalars | {name: each.detach().cpu() for own in tensors for name, each in own.items()}

    def take(self, loss: torch.Tensor) -> None:
        """Take a step down the gradient of a loss."""
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()
        self.step += 1

    def _restore(self, found: Mapping[str, torch.Tensor]) -> None:
        self.step = int(found["step"])
        self._generator.set_state(found["generator"])
        kept = part(found, "tensors")
        with torch.no_grad():
            for name, tensor in self._tensors.items():
                tensor.copy_(kept[name])
        moments = {place: part(found, _moments(place)) for place, _ in enumerate(self._tensors)}
        self._optimiser.load_state_dict({**self._optimiser.state_dict(), "state": moments})


def _moments(place: int) -> str:
    return f"moments/{place}"
