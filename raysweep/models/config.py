"""What determines an architecture."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelConfig:
    """`model` is one of `MODELS` or `module:function`.

    `shape` is that of an input, such as (channels, height, width) of an image. `width` scales every layer.
    `depth` is the number of hidden layers of an MLP (None for the default).
    """

    model: str
    width: int
    depth: int | None
    norm: str
    shape: tuple[int, ...]
    classes: int
