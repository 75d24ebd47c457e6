"""The choice of a dataset and of its examples, kept free of torch so that plans are made quickly."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class DataConfig:
    """A dataset, at most one subset of its training examples, and at most one permutation of its pixels.

    Attributes:
        dataset: a name in `raysweep.data.DATASETS`, or `module:function`. options: the other arguments of the
        function that loads it, as canonical JSON. split_seed: seeds the split into training and test
        examples, for data without an official one (digits). half: 0 or 1, one of two disjoint halves of the
        training examples; an odd example is in half 0. fraction: share of the training examples, above 0 and
        at most 1. examples: the range [start, stop) of the training examples, after they are shuffled by
        `subset_seed`. subset_seed: seeds the shuffle on which `half`, `fraction` and `examples` are based.
        pixel_seed: seeds one permutation of the pixels, applied to every image and channel of both splits.

    Raises `ValueError` for more than one subset, and for a subset that cannot exist.
    """

    dataset: str
    split_seed: int = 0
    half: int | None = None
    fraction: float | None = None
    examples: tuple[int, int] | None = None
    subset_seed: int = 0
    pixel_seed: int | None = None
    options: str = "{}"

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
        """Return the same data without the subset; the permutation of the pixels is kept.

        `subset_seed` is reset to its default, so that all subsets of a dataset have the same whole.
        """
        return replace(self, half=None, fraction=None, examples=None, subset_seed=0)


def _check_range(examples: tuple[int, int]) -> None:
    if len(examples) != 2 or not 0 <= examples[0] < examples[1]:
        raise ValueError(f"examples must be [start, stop) with 0 <= start < stop, found {examples!r}")
