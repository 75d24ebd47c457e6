"""One optimiser step: the loss of a batch, its gradient, the masks, and the update of the weights."""

import contextlib
from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional

from raysweep.choices import choose
from raysweep.data.augmentation import augmentation
from raysweep.data.resident import Resident, Split
from raysweep.registry import is_own
from raysweep.training.hyperparameters import Hyperparameters
from raysweep.training.optimiser import begin_momentum, load_optimiser_state, make_optimiser

Masks = Mapping[str, torch.Tensor]
State = dict[str, torch.Tensor]
Forward = Callable[[State, torch.Tensor], object]
Loss = Callable[..., torch.Tensor]

AUTOCAST = {"float32": None, "bfloat16": torch.bfloat16}


def checked_logits(output: object) -> torch.Tensor:
    """Return a network's output in training mode. Raises `ValueError` unless it is a tensor of logits."""
    if not isinstance(output, torch.Tensor):
        raise ValueError(
            f"in training mode the network returns {type(output).__name__}, not a tensor of logits; build it "
            "without the outputs that exist only in training, for example with aux_logits=False"
        )
    return output


def loss_of(forward: Forward, hyperparameters: Hyperparameters) -> Loss:
    """Return a function of tensors alone: the mean cross-entropy of a batch in nats.

    Its arguments are the state of the network, the images and the labels of all training examples, the value
    of black by channel, the indices of the batch's examples, and what their augmentation has drawn.
    """
    augment = augmentation(hyperparameters.augment, hyperparameters.augment_options).apply
    channels_last = hyperparameters.channels_last
    dtype = choose("precision", hyperparameters.precision, AUTOCAST)

    def loss(
        state: State,
        images: torch.Tensor,
        labels: torch.Tensor,
        black: torch.Tensor,
        examples: torch.Tensor,
        draws: torch.Tensor,
    ) -> torch.Tensor:
        batch = augment(images[examples], black, draws)
        if channels_last:
            batch = batch.contiguous(memory_format=torch.channels_last)
        autocast = torch.autocast(batch.device.type, dtype) if dtype else contextlib.nullcontext()
        with autocast:
            logits = checked_logits(forward(state, batch))
            return functional.cross_entropy(logits.flatten(0, -2), labels[examples].flatten())

    return loss


def stateless(model: nn.Module) -> Forward:
    """Return the forward pass of an architecture with the weights and buffers that it is given."""
    return lambda state, images: functional_call(model, state, (images,))


class Step:
    """Updates a model by one batch at a time.

    Weights that are False in `masks` are set to zero without momentum, and stay zero because their gradients
    are zeroed; after a step of a user's optimiser they are set to zero again. `loss` computes the loss of a
    batch plainly; steps may be taken with a compiled equal of it.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Resident,
        hyperparameters: Hyperparameters,
        masks: Masks,
        optimiser: Mapping[str, torch.Tensor],
    ) -> None:
        self.model = model
        self.loss = loss_of(lambda _, images: model(images), hyperparameters)
        self._data = data
        self._state = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        self.optimiser = make_optimiser(
            model, hyperparameters.optimiser, hyperparameters.settings(), hyperparameters.optimiser_options
        )
        self._zeroes = is_own(hyperparameters.optimiser)
        peak = hyperparameters.schedule.peak
        self._shares = [group["lr"] / peak for group in self.optimiser.param_groups]
        parameters = dict(model.named_parameters())
        self._masked = [parameters[name] for name in masks]
        self._keep = [keep.to(p) for p, keep in zip(self._masked, masks.values(), strict=True)]
        load_optimiser_state(model, self.optimiser, optimiser)
        with torch.no_grad():
            for parameter, keep in zip(self._masked, self._keep, strict=True):
                for tensor in (parameter, *self.optimiser.state.get(parameter, {}).values()):
                    # AdamW's count of steps is a scalar, and an own optimiser's may be a number.
                    if isinstance(tensor, torch.Tensor) and tensor.shape == keep.shape:
                        tensor.mul_(keep)

    def tensors(self) -> list[torch.Tensor]:
        """Return everything that a step changes: weights, buffers and the state of the optimiser."""
        slots = [slot for state in self.optimiser.state.values() for slot in state.values()]
        return [*self._state.values(), *(slot for slot in slots if isinstance(slot, torch.Tensor))]

    def model_gradients(self) -> list[torch.Tensor]:
        """Return the gradients of the parameters that have one."""
        return [p.grad for p in self.model.parameters() if p.grad is not None]

    def use(self, rate: float | torch.Tensor) -> None:
        """Set the learning rate of the steps that follow; a tensor may be changed later.

        Groups of parameters keep their shares of it.
        """
        for group, share in zip(self.optimiser.param_groups, self._shares, strict=True):
            group["lr"] = rate if share == 1 else rate * share

    def gradients(self, examples: torch.Tensor, draws: torch.Tensor, loss: Loss) -> torch.Tensor:
        """Compute the gradient of a batch, without what is pruned, and return the loss in nats.

        A parameter that is frozen or was not used has no gradient, which is None.
        """
        self.optimiser.zero_grad(set_to_none=True)
        train = self._data.train
        assert isinstance(train, Split)  # the rows of a window, where the data are streamed
        value = loss(self._state, train.images, train.labels, self._data.black, examples, draws)
        if value.requires_grad:  # otherwise this step used no trainable parameter
            value.backward()  # type: ignore[no-untyped-call]
        masked = zip(self._masked, self._keep, strict=True)
        kept = [(p.grad, keep) for p, keep in masked if p.grad is not None]
        if kept:
            torch._foreach_mul_(*(list(each) for each in zip(*kept, strict=True)))
        return value.detach()

    def update(self, examples: torch.Tensor, draws: torch.Tensor, loss: Loss) -> torch.Tensor:
        """Take an optimiser step on a batch and return its loss before the step."""
        value = self.gradients(examples, draws, loss)
        begin_momentum(self.optimiser)
        self.optimiser.step()
        if self._zeroes:
            self._prune()
        return value

    @torch.no_grad()
    def _prune(self) -> None:
        for parameter, keep in zip(self._masked, self._keep, strict=True):
            parameter.mul_(keep)
