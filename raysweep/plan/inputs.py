"""What the keys of `train` require of the shape of the inputs, checked before anything starts."""

from functools import lru_cache

from raysweep.data.arrays import is_image
from raysweep.data.registry import AUGMENTATIONS
from raysweep.errors import UserError
from raysweep.models.registry import MODELS
from raysweep.sweep.train import Training

EXAMPLES = 8  # in the batch on which a user's own augmentation is tried


def check_inputs(training: Training, shape: tuple[int, ...]) -> None:
    """Check a configuration against the shape of an input of its data.

    Raises `UserError` for what needs images where there are none, and for a user's own augmentation that
    fails, changes the shape or type of a batch, or draws from elsewhere than its generator.
    """
    if AUGMENTATIONS.is_own(training.augment):
        _check_own(training.augment, shape)
    if is_image(shape):
        return
    needs = {
        "model": not MODELS.is_own(training.model) and MODELS[training.model].images,
        "augment": not AUGMENTATIONS.is_own(training.augment) and AUGMENTATIONS[training.augment].images_only,
        "channels_last": training.channels_last,
    }
    for key in (key for key, needed in needs.items() if needed):
        raise UserError(
            f"train.{key} = {getattr(training, key)}: needs images (channels, height, width), but the inputs "
            f"of {training.dataset} have the shape {shape}"
        )


@lru_cache(maxsize=64)
def _check_own(name: str, shape: tuple[int, ...]) -> None:
    import torch

    from raysweep.data.augmentation import augmentation

    augment = augmentation(name)
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
