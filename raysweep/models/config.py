"""What determines an architecture."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ModelConfig:
    """`model` is one of `MODELS` or `module:function`; `shape` is (channels, height, width) of the input.

    `width` scales every layer. `depth` is the number of hidden layers of an MLP (None for the default).
    """

    model: str
    width: int
    depth: int | None
    norm: str
    shape: tuple[int, int, int]
    classes: int
