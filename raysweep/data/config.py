"""Which examples of which dataset, as plain data; free of torch, so that plans are quick."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class DataConfig:
    """A dataset, at most one subset of its training examples, and at most one permutation of its pixels.

    Attributes:
        dataset: a name in `raysweep.data.DATASETS`.
        split_seed: splits training from test; used only for data without an official test set (digits).
        half: 0 or 1, one of two disjoint halves of the training examples; half 0 has the odd one.
        fraction: share of the training examples, above 0 and at most 1.
        examples: [start, stop) of the training examples in the order shuffled by `subset_seed`.
        subset_seed: shuffles the training examples for `half`, `fraction` and `examples` alike.
        pixel_seed: one permutation of the pixels for every image of both splits and every channel.

    Raises `ValueError` when more than one subset is asked for, or one that cannot exist.
    """

    dataset: str
    split_seed: int = 0
    half: int | None = None
    fraction: float | None = None
    examples: tuple[int, int] | None = None
    subset_seed: int = 0
    pixel_seed: int | None = None

    def __post_init__(self) -> None:
        subset = {"half": self.half, "fraction": self.fraction, "examples": self.examples}
        given = [name for name, value in subset.items() if value is not None]
        if len(given) > 1:
            raise ValueError(f"at most one of half, fraction and examples may be given, found {given}")
        if self.half not in (None, 0, 1):
            raise ValueError(f"half must be 0 or 1, found {self.half!r}")
        if self.fraction is not None and not 0 < self.fraction <= 1:
            raise ValueError(f"fraction must be above 0 and at most 1, found {self.fraction!r}")
        if self.examples is not None:
            _check_range(self.examples)

    def whole(self) -> "DataConfig":
        """Return the same data without the subset; the order of the pixels stays.

        `subset_seed` goes back to its default, so that all subsets have one and the same whole.
        """
        return replace(self, half=None, fraction=None, examples=None, subset_seed=0)


def _check_range(examples: tuple[int, int]) -> None:
    if len(examples) != 2 or not 0 <= examples[0] < examples[1]:
        raise ValueError(f"examples must be [start, stop) with 0 <= start < stop, found {examples!r}")
