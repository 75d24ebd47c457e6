"""The optimisers and schedules that sweep files name; without torch, so that plans are quick.

To add one, write its function and an entry here: the schema, the documentation, the estimates of a plan and
the workers read this table.
"""

from dataclasses import dataclass

from raysweep.registry import Entry, Registry, is_own, taken

# Arguments that the function of an optimiser may take, besides options. The first two are the parameters: as
# an iterable, and as pairs of a name and a parameter. The others are keys of `train`.
SETTINGS = ("learning_rate", "momentum", "nesterov", "weight_decay")
FOR_OPTIMISERS = ("parameters", "named_parameters", *SETTINGS)
# Arguments that the function of a schedule may take, besides options. `step` counts from 0 to `steps` - 1;
# `milestones` are steps too.
SCHEDULE_KEYS = ("milestones", "gamma")
FOR_SCHEDULES = ("step", "steps", "steps_per_epoch", "learning_rate", *SCHEDULE_KEYS)


@dataclass(frozen=True)
class Optimiser(Entry):
    """The function takes those of `FOR_OPTIMISERS` that it names, and returns a `torch.optim.Optimizer`.

    Of `SETTINGS` it reads `keys`. It keeps so many `buffers` of the size of the weights. `captured` says that
    a CUDA graph may hold its steps: that all of its state lies in tensors on the device.
    """

    keys: tuple[str, ...] = ()
    buffers: int = 2
    captured: bool = False


@dataclass(frozen=True)
class Schedule(Entry):
    """The function takes those of `FOR_SCHEDULES` that its signature names.

    It returns the factor of `learning_rate` at a step. Of `SCHEDULE_KEYS` it reads `keys`.
    """

    keys: tuple[str, ...] = ()


OWN_OPTIMISER = Optimiser("", "An optimiser of the user's own.")

OPTIMISERS = Registry(
    "optimiser",
    {
        "sgd": Optimiser(
            "raysweep.training.optimiser:sgd",
            "SGD with momentum.",
            keys=SETTINGS,
            buffers=1,
            captured=True,
        ),
        "adamw": Optimiser(
            "raysweep.training.optimiser:adamw",
            "AdamW, whose beta1 is `momentum`; options `beta2` (0.999) and `eps` (1e-8).",
            keys=("learning_rate", "momentum", "weight_decay"),
            captured=True,
        ),
        "adam": Optimiser(
            "raysweep.training.optimiser:adam",
            "Adam, like AdamW but for weight decay that is added to the gradient; the same options.",
            keys=("learning_rate", "momentum", "weight_decay"),
            captured=True,
        ),
        "rmsprop": Optimiser(
            "raysweep.training.optimiser:rmsprop",
            "RMSprop with momentum; options `alpha` (0.99) and `eps` (1e-8). On a GPU its steps are plain.",
            keys=("learning_rate", "momentum", "weight_decay"),
        ),
    },
)

SCHEDULES = Registry(
    "schedule",
    {
        "constant": Schedule("raysweep.training.schedule:constant", "The learning rate stays as it is."),
        "milestones": Schedule(
            "raysweep.training.schedule:at_milestones",
            "The learning rate is multiplied by `gamma` at each of `milestones`.",
            keys=("milestones", "gamma"),
        ),
        "cosine": Schedule("raysweep.training.schedule:cosine", "Half a cosine from `learning_rate` to 0."),
        "one_cycle": Schedule(
            "raysweep.training.schedule:one_cycle",
            "One cycle: up to `learning_rate` in the first 30 % of the steps, and down again, by cosines.",
        ),
    },
)


def optimiser_entry(name: str) -> Optimiser:
    """Return what a plan knows of an optimiser by its name. Raises `ValueError` for an unknown one."""
    return OWN_OPTIMISER if is_own(name) else OPTIMISERS[name]


def reads(registry: Registry[Optimiser] | Registry[Schedule], name: str, keys: tuple[str, ...]) -> set[str]:
    """Return which of some keys of `train` the function that a name stands for reads.

    A user's function is imported. Raises `UserError` where it cannot be, `ValueError` for an unknown name.
    """
    return taken(registry.function(name), keys) if is_own(name) else set(registry[name].keys)
