"""What determines an architecture."""

from dataclasses import dataclass
from typing import Any

OFFERED = ("shape", "classes", "width", "depth", "norm")


@dataclass(frozen=True)
class ModelConfig:
    """`model` is one of `MODELS` or `module:function`.

    `shape` is that of an input, such as (channels, height, width) of an image. `width` scales every layer.
    `depth` is the number of hidden layers of an MLP, or of blocks of a transformer (None for the default).
    """

    model: str
    width: int
    depth: int | None
    norm: str
    shape: tuple[int, ...]
    classes: int

    def offered(self) -> dict[str, Any]:
        """Return the arguments that a function may take which builds the network; without a depth of None."""
        found = {name: getattr(self, name) for name in OFFERED}
        return {name: value for name, value in found.items() if value is not None}
