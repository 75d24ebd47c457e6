"""Images of PIL as arrays."""

from typing import Any, TypeGuard

import numpy as np

MODES = {1: "L", 3: "RGB"}  # PIL's names, by the number of channels


def is_image(value: object) -> TypeGuard[Any]:
    """Whether a value is an image of PIL, which is not imported for this."""
    return hasattr(value, "getbands") and hasattr(value, "convert")


def pixels_of(image: Any, size: tuple[int, int] | None = None, channels: int | None = None) -> np.ndarray:
    """Return the pixels of an image of PIL as bytes (channels, height, width).

    It is resized to `size` (height, width) by bilinear interpolation with antialiasing. `channels` is 1 for
    grey and 3 for red, green and blue; without it an image that is not grey has 3.
    """
    image = image.convert(MODES[channels or (1 if image.mode in ("1", "L") else 3)])
    if size and image.size != (size[1], size[0]):
        from PIL.Image import Resampling

        image = image.resize((size[1], size[0]), Resampling.BILINEAR)
    pixels = np.asarray(image)
    return pixels[None] if pixels.ndim == 2 else np.ascontiguousarray(pixels.transpose(2, 0, 1))
