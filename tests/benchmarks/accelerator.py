"""Training, alignment and barriers on the device at hand: on a GPU where there is one, else nothing.

Unchanged on any machine: where torch sees no CUDA device there are no figures, for they would be guesses.
Resident data and the deterministic kernels that workers use; training also in bfloat16 with the channels
last; the time is taken after a synchronisation. The barrier of a network against itself must be exactly 0.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch

from raysweep.alignment import weight_matching
from raysweep.connectivity import barrier_of, pair_grid, simplex_grid
from raysweep.data.resident import Resident
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.symmetry import PermutationSpec
from raysweep.training.hyperparameters import Hyperparameters
from raysweep.training.loop import TrainingRun
from raysweep.training.schedule import Schedule
from raysweep.work.device import make_deterministic
from tests.benchmarks.barriers import together
from tests.benchmarks.networks import (
    THREADS,
    convolutional,
    fashion_mnist,
    framed,
    mlp,
    resident,
    seconds,
    title,
)
from tests.benchmarks.records import Record

SETTINGS = Hyperparameters(128, "sgd", 0.9, False, 1e-4, Schedule("constant", 0.1, 10**6), 0)


def finished(work: Callable[[], object]) -> float:
    """Seconds until the device has done the work."""

    def until_done() -> None:
        work()
        torch.cuda.synchronize()

    return seconds(until_done)


def training(config: ModelConfig, data: Resident, settings: Hyperparameters, rounds: int) -> list[float]:
    """Seconds of 50 steps."""
    model = initialised(config, "kaiming_normal", 0).to("cuda")
    run = TrainingRun(model, data, settings)
    run.advance(10)
    return [finished(lambda: run.advance(run.step + 50)) for _ in range(rounds)]


def against_itself(config: ModelConfig, data: Resident) -> Record:
    """The largest excess on a line and over a simplex, in nats."""
    split, state = data.train.first(1000), initialised(config, "kaiming_normal", 0).to("cuda").state_dict()
    model = build(config).to("cuda")
    found = [
        abs(barrier_of(model, [state] * grid.shape[1], split.images, split.labels, grid).loss_barrier)
        for grid in (pair_grid(25), simplex_grid(12))
    ]
    return Record(f"{title(config)}, a network against itself", "nats", [max(found)], 0)


def of_network(config: ModelConfig, data: Resident, rounds: int) -> Iterator[Record]:
    yield against_itself(config, data)
    plain = training(config, data, SETTINGS, rounds)
    yield Record(f"{title(config)}, 50 steps", "s", plain)
    quicker = training(config, data, replace(SETTINGS, precision="bfloat16", channels_last=True), rounds)
    note = "float32 is the reference"
    yield Record(f"{title(config)}, 50 steps in bfloat16, channels last", "s", quicker, 1, note, plain)
    spec = PermutationSpec.trace(build(config), torch.zeros(2, *config.shape))
    states = [initialised(config, "kaiming_normal", seed).to("cuda").state_dict() for seed in (0, 1)]
    times = [finished(lambda: weight_matching(spec, *states, 0)) for _ in range(rounds)]
    yield Record(f"{title(config)}, weight matching", "s", times)
    yield together(config, data.train.first(10_000), pair_grid(25), rounds, finished)


def records(quick: bool) -> Iterator[Record]:
    if not torch.cuda.is_available():
        return
    arrays = fashion_mnist(quick)
    data = resident(arrays, "cuda")
    make_deterministic(THREADS)
    for width in (64, 512):
        yield against_itself(mlp(width), data)
        yield together(mlp(width), data.train.first(10_000), pair_grid(25), 1 if quick else 5, finished)
    data = resident(framed(arrays), "cuda")
    for config in convolutional(16, 64):
        yield from of_network(config, data, 1 if quick else 5)
