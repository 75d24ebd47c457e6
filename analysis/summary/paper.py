"""The numbers of Sharma et al. 2024 (arXiv 2404.06498), as read off the authors' plots, and their setting."""

from raysweep.sweep.presets import PRESETS
from raysweep.training.moment import Moment
from raysweep.vocabulary import Kind

READING = 0.02  # accuracy to which the plots can be read (share)

VGG, RESNET = "vgg16", "resnet20"
WEIGHTS, ACTIVATIONS = "weight_matching", "activation_matching"

# Mean train error barrier (share) by model, method and kind, then by width. Kind `direct`: A and P[B];
# `via`: P_AC[A] and P_BC[B].
BARRIERS: dict[tuple[str, str, str], dict[int, float]] = {
    (VGG, WEIGHTS, Kind.DIRECT): {8: 0.74, 16: 0.63, 32: 0.22, 64: 0.085, 128: 0.045, 256: 0.02},
    (VGG, WEIGHTS, Kind.VIA): {8: 0.78, 16: 0.84, 32: 0.65, 64: 0.37, 128: 0.26, 256: 0.16},
    (VGG, ACTIVATIONS, Kind.DIRECT): {8: 0.48, 16: 0.33, 32: 0.18, 64: 0.09, 128: 0.065, 256: 0.04},
    (VGG, ACTIVATIONS, Kind.VIA): {8: 0.67, 16: 0.60, 32: 0.42, 64: 0.26, 128: 0.25, 256: 0.21},
    (RESNET, WEIGHTS, Kind.DIRECT): {16: 0.36, 32: 0.13, 64: 0.02, 128: 0.013, 256: 0.008, 512: 0.005},
    (RESNET, WEIGHTS, Kind.VIA): {16: 0.44, 32: 0.31, 64: 0.12, 128: 0.022, 256: 0.012, 512: 0.012},
    (RESNET, ACTIVATIONS, Kind.DIRECT): {16: 0.44, 32: 0.16, 64: 0.08, 128: 0.05, 256: 0.035, 512: 0.018},
    (RESNET, ACTIVATIONS, Kind.VIA): {16: 0.49, 32: 0.34, 64: 0.19, 128: 0.135, 256: 0.13, 512: 0.09},
}

# Along the training of VGG-16-64, weight matching.
TRAJECTORY_MODEL, TRAJECTORY_WIDTH, TRAJECTORY_METHOD = VGG, 64, WEIGHTS
EARLY = {3: 0.90, 10: 0.26, 20: 0.15}  # train error barrier of the last networks, by epoch of the permutation
LAST_AT_MOST = 0.10  # largest train error barrier at any epoch under the last permutation
FIXED_POINTS = {50: 0.35, 80: 0.60}  # share of units on which P_t and the last permutation agree, by epoch

# Compositions of permutations around cycles of VGG-16; the paper gives one number for all their lengths.
CYCLE_MODEL, CYCLE_METHOD, CYCLE_FIXED_POINTS = VGG, WEIGHTS, 0.10  # share of units that stay in place

# The values that every trial must have in the table `trials`, where null stands for all of the data as they
# are. Seeds, devices, the precision and results are free.
_ALL_OF_THE_DATA = dict.fromkeys(("half", "fraction", "examples", "pixel_seed", "spawn_at"))
_PRESETS = {VGG: "paper_vgg16_cifar10", RESNET: "paper_resnet20_cifar10"}

# The values that every alignment by a method must have in the table `alignments`, and every barrier of a pair
# in `barriers`. Seeds, threads and devices are free here too.
ALIGN: dict[str, dict[str, object]] = {
    WEIGHTS: {"kernel": "linear", "order": "random", "biases": True, "restarts": 1},
    ACTIVATIONS: {"tensor": "first", "similarity": "inner_product", "examples": 10_000, "pixels": 1},
}
COMPARE: dict[str, object] = {"alphas": 25, "train_examples": 10_000}


def setting(model: str) -> dict[str, object]:
    """Return the columns of `trials` that the paper's setting fixes, and their values (None: null)."""
    keys = {key: value for key, value in PRESETS[_PRESETS[model]].items() if key != "width"}
    moments = {
        "milestones": [str(Moment.parse(each)) for each in keys["milestones"]],
        "warmup": str(Moment.parse(keys["warmup"])),
    }
    return {**keys, **moments, **_ALL_OF_THE_DATA}
