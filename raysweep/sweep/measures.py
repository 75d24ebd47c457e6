"""The measures that `compare.measures` may list, beside the loss and the error of every mixture.

To add one, write its function in `connectivity/measures/`, which says what it is given, and an entry here.
"""

from raysweep.registry import Entry, Registry

_FOLDER = "raysweep.connectivity.measures"

MEASURES = Registry(
    "measure",
    {
        "calibrated_loss": Entry(
            f"{_FOLDER}.calibrated_loss:calibrated_loss",
            "The cross-entropy of each half of the split at the softmax temperature that fits the other half "
            "(Guo et al. 2017).",
        ),
        "calibration_error": Entry(
            f"{_FOLDER}.calibration_error:calibration_error",
            "The expected calibration error, in 15 bins (Guo et al. 2017).",
        ),
        "disagreement": Entry(
            f"{_FOLDER}.disagreement:disagreement",
            "The share of examples to which a mixture and its networks answer differently.",
        ),
        "ensemble": Entry(
            f"{_FOLDER}.ensemble:ensemble",
            "The loss and the error of the averaged probabilities of the networks, as a reference.",
        ),
        "feature_connectivity": Entry(
            f"{_FOLDER}.feature_connectivity:feature_connectivity",
            "By layer, 1 - cos between the hidden units of a mixture and the mixture of those of its "
            "networks (LLFC; Zhou et al. 2023).",
        ),
    },
)
