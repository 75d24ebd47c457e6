"""Training, barriers and alignment on a GPU, each beside its floor, with checks that bits repeat.

Where torch sees no CUDA device there are no figures, for they would be guesses. All parts use resident data
and the deterministic kernels that workers use, and take the time when the device is done. Images are noise,
so that no files are needed. On an H100 everything takes less than five minutes.
"""

from collections.abc import Iterator

import torch

from raysweep.connectivity import barrier_of, pair_grid, simplex_grid
from raysweep.data.resident import Resident
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.work.device import make_deterministic
from tests.benchmarks import accelerator_barriers, accelerator_training
from tests.benchmarks.accelerator_alignment import alignment_records
from tests.benchmarks.networks import convolutional, noise, resident, title
from tests.benchmarks.records import Record


def against_itself(config: ModelConfig, data: Resident) -> Record:
    """The largest excess on a line and over a simplex, in nats."""
    split, state = data.train.first(1000), initialised(config, "kaiming_normal", 0).to("cuda").state_dict()
    model = build(config).to("cuda")
    found = [
        abs(barrier_of(model, [state] * grid.shape[1], split.images, split.labels, grid).loss_barrier)
        for grid in (pair_grid(25), simplex_grid(12))
    ]
    return Record(f"{title(config)}, a network against itself", "nats", [max(found)], 0)


def records(quick: bool) -> Iterator[Record]:
    if not torch.cuda.is_available():
        return
    make_deterministic(1)
    data = resident(noise(2_000 if quick else 50_000), "cuda")
    yield from (against_itself(config, data) for config in convolutional(16))
    yield from accelerator_training.records(data, 1 if quick else 3)
    yield from accelerator_barriers.records(quick)
    yield from alignment_records("cuda", quick)
