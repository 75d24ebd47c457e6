"""Images of PIL as arrays."""

from collections.abc import Sequence
from typing import Any, TypeGuard

import numpy as np

from raysweep.errors import UserError

MODES = {1: "L", 3: "RGB"}  # PIL's names, by the number of channels


def is_image(value: object) -> TypeGuard[Any]:
    """Whether a value is an image of PIL, which is not imported for this."""
    return hasattr(value, "getbands") and hasattr(value, "convert")


def pixels_of(image: Any, size: tuple[int, int] | None = None, channels: int | None = None) -> np.ndarray:
    """Return the pixels of an image of PIL as bytes (channels, height, width).

    It is resized to `size` (height, width) by bilinear interpolation with antialiasing. `channels` is 1 for
    grey and 3 for red, green and blue; without it an image that is not grey has 3. Raises `ValueError` for an
    image of more than eight bits a channel, which PIL would clip.
    """
    if image.mode.startswith("I") or image.mode == "F":
        raise ValueError(f"it has more than eight bits a channel (mode {image.mode}); convert it to eight")
    image = image.convert(MODES[channels or (1 if image.mode in ("1", "L") else 3)])
    if size and image.size != (size[1], size[0]):
        from PIL.Image import Resampling

        image = image.resize((size[1], size[0]), Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))


def hint_of(images: Sequence[np.ndarray]) -> str:
    """Return which options give images (channels, height, width) one shape, as the end of a message."""
    sizes, channels = {each.shape[1:] for each in images}, {each.shape[0] for each in images}
    options = [*(["size"] if len(sizes) > 1 else []), *(["channels"] if len(channels) > 1 else [])]
    return f"; give train.dataset_options.{' and '.join(options)}"


def checked_size(dataset: str, size: Any, channels: Any) -> tuple[int, int] | None:
    """Return the options `size` (a number, or [height, width]) and check `channels`. Raises `UserError`."""
    both = [size, size] if isinstance(size, int) else size
    if both is not None and not (
        isinstance(both, list) and len(both) == 2 and all(type(each) is int and each > 0 for each in both)
    ):
        raise UserError(
            f"train.dataset_options.size = {size!r}: dataset {dataset!r} takes a number of pixels, or "
            "[height, width]"
        )
    if channels not in (None, *MODES):
        raise UserError(
            f"train.dataset_options.channels = {channels!r}: dataset {dataset!r} takes 1 (grey) or 3 (colour)"
        )
    return (both[0], both[1]) if both else None
