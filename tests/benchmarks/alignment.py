"""Seconds per alignment against the assignment solver's own; run as `python -m tests.benchmarks.alignment`.

Weight matching (linear kernel, float32) of two networks from different seeds: MLP 784-512-512-512-10 after
`--steps` steps of 128 images on Fashion-MNIST; VGG-16 and ResNet-20 at widths 16 and 64 after 6,400 / width
steps of 16 images, framed in black to 32x32 with three channels. The floor: the same cost matrices,
recorded once, through scipy's solver in the same run, turn by turn. No other solver was
faster on the MLP's 39 matrices (seconds of one core, best of 2): scipy 0.19, src-d's lapjv 0.21, lap 0.37.
Prints medians with their range, and the median of the ratios of neighbouring turns.
"""

import argparse
import dataclasses
import statistics
import time
from unittest import mock

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment

from raysweep.alignment import Alignment, weight_matching
from raysweep.data import DataConfig, load_arrays, scaling_of
from raysweep.data.arrays import Arrays
from raysweep.data.resident import Resident, make_resident
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.symmetry import PermutationSpec
from raysweep.training.loop import Hyperparameters, TrainingRun
from raysweep.training.schedule import Schedule

State = dict[str, torch.Tensor]
MLP = ModelConfig("mlp", 512, 3, "none", (1, 28, 28), 10)
CONVOLUTIONAL = [
    ModelConfig(model, width, None, "layer", (3, 32, 32), 10)
    for model in ("vgg16", "resnet20")
    for width in (16, 64)
]


def framed(arrays: Arrays) -> Arrays:
    """Images of 28x28 in one channel as 32x32 in three."""
    frame = ((0, 0), (0, 0), (2, 2), (2, 2))
    train, test = (
        np.pad(images, frame).repeat(3, axis=1) for images in (arrays.train_images, arrays.test_images)
    )
    return dataclasses.replace(arrays, train_images=train, test_images=test)


def trained(config: ModelConfig, data: Resident, steps: int, batch: int, seed: int) -> State:
    model = initialised(config, "kaiming_normal", seed)
    schedule = Schedule("one_cycle", 0.1, steps)
    TrainingRun(model, data, Hyperparameters(batch, "sgd", 0.9, False, 1e-4, schedule, seed)).advance(steps)
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def resident(arrays: Arrays) -> Resident:
    return make_resident(arrays, torch.device("cpu"), scaling_of(arrays, "unit"))


def recorded(spec: PermutationSpec, states: list[State]) -> tuple[Alignment, list[np.ndarray]]:
    """Return the alignment and the cost matrices that were solved for it."""
    costs: list[np.ndarray] = []

    def record(matrix: np.ndarray, maximize: bool) -> tuple[np.ndarray, np.ndarray]:
        costs.append(matrix.copy())
        return linear_sum_assignment(matrix, maximize=maximize)

    with mock.patch("raysweep.alignment.ascent.linear_sum_assignment", record):
        return weight_matching(spec, states[0], states[1], 0), costs


def compare(config: ModelConfig, states: list[State], rounds: int) -> None:
    spec = PermutationSpec.trace(build(config), torch.zeros(2, *config.shape))
    found, costs = recorded(spec, states)
    times: dict[str, list[float]] = {"alignment": [], "solver": []}
    for _ in range(rounds):
        began = time.perf_counter()
        again = weight_matching(spec, states[0], states[1], 0)
        times["alignment"].append(time.perf_counter() - began)
        assert again.objective == found.objective
        began = time.perf_counter()
        for matrix in costs:
            linear_sum_assignment(matrix, maximize=True)
        times["solver"].append(time.perf_counter() - began)
    ratio = statistics.median(a / s for a, s in zip(times["alignment"], times["solver"], strict=True))
    shown = ", ".join(
        f"{name} {statistics.median(each):.3f} s ({min(each):.3f} to {max(each):.3f})"
        for name, each in times.items()
    )
    print(
        f"{config.model} width {config.width}: {shown}, ratio {ratio:.2f}, n = {rounds}, "
        f"{found.iterations} assignments, objective {found.objective:.6g}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=938)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arrays = load_arrays(DataConfig("fashion_mnist"))
    data = resident(arrays)
    compare(MLP, [trained(MLP, data, arguments.steps, 128, seed) for seed in (0, 1)], arguments.rounds)
    data = resident(framed(arrays))
    for config in CONVOLUTIONAL:
        states = [trained(config, data, 6400 // config.width, 16, seed) for seed in (0, 1)]
        compare(config, states, arguments.rounds)


if __name__ == "__main__":
    main()
