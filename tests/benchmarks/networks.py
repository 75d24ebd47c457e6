"""Networks and data that several benchmarks share."""

import dataclasses
import time
from collections.abc import Callable

import numpy as np
import torch

from raysweep.data import DataConfig, load_arrays, scaling_of
from raysweep.data.arrays import Arrays
from raysweep.data.resident import Resident, make_resident
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.training.hyperparameters import Hyperparameters
from raysweep.training.loop import TrainingRun
from raysweep.training.schedule import Schedule
from raysweep.work.device import keep_freed_memory

State = dict[str, torch.Tensor]
THREADS = 2  # of a process that is timed alone


def work_alone(quick: bool) -> None:
    """Compute as a worker does, which keeps freed memory, but with two threads.

    A quick run has one: two wait for each other beside the other tests, and spin while they do.
    """
    torch.set_num_threads(1 if quick else THREADS)
    keep_freed_memory()


def mlp(width: int) -> ModelConfig:
    return ModelConfig("mlp", width, 3, "none", (1, 28, 28), 10)


def convolutional(*widths: int) -> list[ModelConfig]:
    return [
        ModelConfig(model, width, None, "layer", (3, 32, 32), 10)
        for model in ("vgg16", "resnet20")
        for width in widths
    ]


def title(config: ModelConfig) -> str:
    return f"{config.model} {config.width}"


def fashion_mnist(quick: bool = False) -> Arrays:
    """The data set; a quick run has a few images of noise in its place, and needs no files."""
    if quick:
        return Arrays(*_noise(1000), *_noise(500), classes=10)
    return load_arrays(DataConfig("fashion_mnist"))


def _noise(examples: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(examples)
    return draw.integers(256, size=(examples, 1, 28, 28), dtype=np.uint8), draw.integers(10, size=examples)


def noise(examples: int) -> Arrays:
    """Random images of 32x32 in three channels: the time of a step does not depend on what they show."""
    draw = np.random.default_rng(examples)
    images = draw.integers(256, size=(examples, 3, 32, 32), dtype=np.uint8)
    labels = draw.integers(10, size=examples)
    return Arrays(images, labels, images[:10_000], labels[:10_000], classes=10)


def framed(arrays: Arrays) -> Arrays:
    """Images of 28x28 in one channel as 32x32 in three."""
    frame = ((0, 0), (0, 0), (2, 2), (2, 2))
    train, test = (
        np.pad(images, frame).repeat(3, axis=1) for images in (arrays.train_images, arrays.test_images)
    )
    return dataclasses.replace(arrays, train_images=train, test_images=test)


def resident(arrays: Arrays, device: str = "cpu") -> Resident:
    return make_resident(arrays, torch.device(device), scaling_of(arrays, "unit"))


def new_run(config: ModelConfig, data: Resident, batch: int, seed: int, steps: int) -> TrainingRun:
    """A network of this seed, to be trained by SGD with momentum under a one-cycle schedule."""
    model = initialised(config, "kaiming_normal", seed).to(data.train.images.device)
    schedule = Schedule("one_cycle", 0.1, steps)
    return TrainingRun(model, data, Hyperparameters(batch, "sgd", 0.9, False, 1e-4, schedule, seed))


def trained(config: ModelConfig, data: Resident, batch: int, seed: int, steps: int) -> State:
    run = new_run(config, data, batch, seed, steps)
    run.advance(steps)
    return {name: tensor.clone() for name, tensor in run.model.state_dict().items()}


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
