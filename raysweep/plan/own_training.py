"""What a plan checks of a user's own optimiser, schedule and initialisation, and of ours with options."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from raysweep.errors import UserError
from raysweep.models.config import ModelConfig
from raysweep.models.registry import FOR_INITS
from raysweep.registry import check_options, is_own
from raysweep.sweep.train import OPTIONS, REGISTRIES, Training
from raysweep.training.registry import FOR_OPTIMISERS, FOR_SCHEDULES, SETTINGS

if TYPE_CHECKING:
    from torch import nn
    from torch.optim import Optimizer

OFFERED = {"init": FOR_INITS, "optimiser": FOR_OPTIMISERS, "schedule": FOR_SCHEDULES}
MOST_STEPS = 200  # at which a schedule is tried, evenly spaced


@lru_cache(maxsize=256)
def check_functions(training: Training, config: ModelConfig, steps: int, steps_per_epoch: int) -> None:
    """Try the functions that a configuration names, where they are the user's own or have options.

    Raises `UserError` for options that a function does not take, for an initialisation that the seed does not
    determine, for a schedule that gives no learning rate at some step, and for an optimiser that fails or
    cannot be resumed.
    """
    tried = {
        "init": lambda: _check_init(training, config),
        "schedule": lambda: _check_schedule(training, steps, steps_per_epoch),
        "optimiser": lambda: _check_optimiser(training, config),
    }
    for key, offered in OFFERED.items():
        name, options = getattr(training, key), getattr(training, key + OPTIONS)
        if options or is_own(name):
            function = REGISTRIES[key].function(name)
            check_options(f"{key} {name!r}", f"train.{key}{OPTIONS}", function, offered, options)
            tried[key]()


def _check_init(training: Training, config: ModelConfig) -> None:
    import torch

    from raysweep.models.initialise import initialised

    how = training.init, 0, training.init_options
    one, same = (initialised(config, *how).state_dict() for _ in range(2))
    unlike = [name for name, tensor in one.items() if not torch.equal(tensor, same[name])]
    if unlike:
        raise UserError(
            f"init {training.init!r}: two calls under one seed differ in {', '.join(unlike[:3])}; draw from "
            "the argument generator, or from the global generators of torch, numpy or random"
        )


def _check_schedule(training: Training, steps: int, steps_per_epoch: int) -> None:
    from raysweep.training.schedule import Schedule

    schedule = Schedule(
        training.schedule,
        training.learning_rate,
        steps,
        tuple(moment.step(steps_per_epoch) for moment in training.milestones),
        training.gamma,
        steps_per_epoch=steps_per_epoch,
        options=training.schedule_options,
    )
    for step in {*range(0, steps, max(1, steps // MOST_STEPS)), steps - 1}:
        schedule.rate(step)


def _check_optimiser(training: Training, config: ModelConfig) -> None:
    """Compare a third step with one that is taken from the stored state of an optimiser after two steps."""
    import torch

    from raysweep.training.optimiser import load_optimiser_state, optimiser_state

    name = f"optimiser {training.optimiser!r}"
    model, optimiser = _started(training, config)
    other, resumed = _started(training, config)
    try:
        for seed in range(2):
            _step(model, optimiser, seed)
        state = optimiser_state(model, optimiser, training.optimiser)
        other.load_state_dict(model.state_dict())
        load_optimiser_state(other, resumed, state)
        _step(model, optimiser, 2)
        _step(other, resumed, 2)
    except Exception as error:
        raise UserError(
            f"{name} fails in a step, or in storing its state dict, which may hold tensors, numbers and "
            f"texts alone: {type(error).__name__}: {error}"
        ) from error
    if any(not torch.equal(tensor, other.state_dict()[key]) for key, tensor in model.state_dict().items()):
        raise UserError(f"{name}: a step after resuming from its state dict differs; keep all state there")


def _started(training: Training, config: ModelConfig) -> "tuple[nn.Module, Optimizer]":
    from raysweep.models.build import build
    from raysweep.training.optimiser import make_optimiser

    model = build(config)
    settings: dict[str, Any] = {key: getattr(training, key) for key in SETTINGS}
    return model, make_optimiser(model, training.optimiser, settings, training.optimiser_options)


def _step(model: "nn.Module", optimiser: "Optimizer", seed: int) -> None:
    """Take a step with random gradients."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
    optimiser.step()
