"""The measures that `compare.measures` may list, besides the loss and the error of every mixture.

To add one, write its function in `connectivity/measures/`, which says what it is given, and an entry here.
"""

from dataclasses import dataclass

from raysweep.registry import Entry, Registry, is_own

_FOLDER = "raysweep.connectivity.measures"


@dataclass(frozen=True)
class Measure(Entry):
    """A measure of mixtures; the hidden units of so many `examples` of a split take a pass of their own."""

    examples: int = 0


MEASURES = Registry(
    "measure",
    {
        "calibrated_loss": Measure(
            f"{_FOLDER}.calibrated_loss:calibrated_loss",
            "The cross-entropy of each half of the split at the softmax temperature that fits the other half "
            "(Guo et al. 2017).",
        ),
        "calibration_error": Measure(
            f"{_FOLDER}.calibration_error:calibration_error",
            "The expected calibration error, in 15 bins (Guo et al. 2017).",
        ),
        "disagreement": Measure(
            f"{_FOLDER}.disagreement:disagreement",
            "The share of examples to which a mixture and its networks answer differently.",
        ),
        "ensemble": Measure(
            f"{_FOLDER}.ensemble:ensemble",
            "The loss and the error of the averaged probabilities of the networks, as a reference.",
        ),
        "feature_connectivity": Measure(
            f"{_FOLDER}.feature_connectivity:feature_connectivity",
            "By layer, 1 - cos between the hidden units of a mixture and the mixture of those of its "
            "networks (LLFC; Zhou et al. 2023).",
            examples=256,
        ),
    },
)


def examples_of(measure: str) -> int:
    """Return of how many examples of a split a measure needs hidden units; a user's own may need them."""
    return max(each.examples for each in MEASURES.values()) if is_own(measure) else MEASURES[measure].examples
