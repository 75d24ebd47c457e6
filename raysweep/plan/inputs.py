"""What the keys of `train` about inputs require of the data, checked before anything starts."""

import inspect
from functools import lru_cache

from raysweep.data.arrays import is_image
from raysweep.data.config import DataConfig
from raysweep.data.load import load_arrays
from raysweep.data.registry import AUGMENTATIONS, FOR_AUGMENTATIONS, FOR_SCALINGS, SCALINGS
from raysweep.data.scaling import scaling_of
from raysweep.errors import UserError
from raysweep.models.registry import takes_images_alone
from raysweep.registry import check_options
from raysweep.sweep.fields import Arguments
from raysweep.sweep.train import Training
from raysweep.sweep.train_rest import TrainRest

EXAMPLES = 8  # in the batch on which an augmentation is tried


def check_inputs(training: Training, shape: tuple[int, ...]) -> None:
    """Check a configuration against the shape of an input of its data.

    Raises `UserError` for what needs images where there are none, for options that an augmentation or a
    scaling does not take, and for a user's own augmentation that fails, changes the shape or type of a batch,
    or draws from elsewhere than its generator.
    """
    needs = {
        "model": takes_images_alone(training.model),
        "augment": not AUGMENTATIONS.is_own(training.augment) and AUGMENTATIONS[training.augment].images_only,
        "channels_last": training.channels_last,
    }
    for key in (key for key, needed in needs.items() if needed and not is_image(shape)):
        raise UserError(
            f"train.{key} = {getattr(training, key)}: needs images (channels, height, width), but the inputs "
            f"of {training.dataset} have the shape {shape}"
        )
    if AUGMENTATIONS.is_own(training.augment) or training.augment_options:
        _check_augmentation(training.augment, training.augment_options, shape)
    if SCALINGS.is_own(training.scaling) or training.scaling_options:
        what, function = f"scaling {training.scaling!r}", SCALINGS.function(training.scaling)
        check_options(what, "train.scaling_options", function, FOR_SCALINGS, training.scaling_options)


def check_scaling(training: Training, config: DataConfig, rest: TrainRest) -> None:
    """Compute a user's own scaling of a data set, which is there. Raises `UserError` as `scaling_of` does."""
    if SCALINGS.is_own(training.scaling):
        source = config.whole(), rest.data_root, rest.download
        _check_scaling(training.scaling, training.scaling_options, *source)


@lru_cache(maxsize=64)
def _check_scaling(
    name: str, options: Arguments, config: DataConfig, data_root: str | None, download: bool
) -> None:
    arrays = load_arrays(config, data_root, download)
    if scaling_of(arrays, name, options) != scaling_of(arrays, name, options):
        raise UserError(f"scaling {name!r}: two calls differ; it must return the same at each call")


@lru_cache(maxsize=64)
def _check_augmentation(name: str, options: Arguments, shape: tuple[int, ...]) -> None:
    import torch

    from raysweep.data.augmentation import augmentation

    function = AUGMENTATIONS.function(name)
    # A user's function has names of its own for what it is given: the batch and a generator.
    given = (
        list(inspect.signature(function).parameters)[:2] if AUGMENTATIONS.is_own(name) else FOR_AUGMENTATIONS
    )
    check_options(f"augmentation {name!r}", "train.augment_options", function, given, options)
    augment = augmentation(name, options)
    images = torch.rand((EXAMPLES, *shape), generator=torch.Generator().manual_seed(0))
    black = torch.zeros(shape[:1])
    results = []
    for _ in range(2):
        try:
            results.append(augment.apply(images.clone(), black, augment.draw(EXAMPLES, 0)))
        except Exception as error:
            raise UserError(f"augmentation {name!r} fails: {type(error).__name__}: {error}") from error
    if not torch.equal(*results):
        raise UserError(
            f"augmentation {name!r}: two calls under one seed differ; draw random numbers from its second "
            "argument, a torch.Generator"
        )
