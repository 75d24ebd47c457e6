"""Training, barriers and alignment on a GPU, each beside its floor, with checks that bits repeat.

Where torch sees no CUDA device there are no figures, for they would be guesses. All parts use resident data
and the deterministic kernels that workers use, and take the time when the device is done. Images are noise,
so that no files are needed. On an H100 everything takes less than five minutes.
"""

from collections.abc import Iterator, Sequence

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


def against_itself(config: ModelConfig, data: Resident, quick: bool) -> Record:
    """The largest excess on a line and over a simplex, in nats."""
    split, device = data.train.first(1000), data.train.images.device
    state = initialised(config, "kaiming_normal", 0).to(device).state_dict()
    model = build(config).to(device)
    found = [
        abs(barrier_of(model, [state] * grid.shape[1], split.images, split.labels, grid).loss_barrier)
        for grid in (pair_grid(3 if quick else 25), simplex_grid(6 if quick else 12))
    ]
    return Record(f"{title(config)}, a network against itself", "nats", [max(found)], 0)


def records(quick: bool) -> Iterator[Record]:
    if not torch.cuda.is_available():
        return
    make_deterministic(1)
    yield from records_on(resident(noise(2_000 if quick else 50_000), "cuda"), quick)


def records_on(
    data: Resident, quick: bool, widths: Sequence[int] = (16, 64), steps: int = accelerator_training.STEPS
) -> Iterator[Record]:
    """All parts on the device of the data; on a processor, with small widths, this shows that they work."""
    device = data.train.images.device.type
    yield from (against_itself(config, data, quick) for config in convolutional(widths[0]))
    yield from accelerator_training.records(data, 1 if quick else 3, widths, steps)
    yield from accelerator_barriers.records(quick, device)
    yield from alignment_records(device, quick)
