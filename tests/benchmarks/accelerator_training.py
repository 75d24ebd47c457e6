"""Training steps on a GPU: plain, captured, compiled, packed, pruned; and whether their bits agree."""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch

from raysweep.data.resident import Resident
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.training.captured import MOST
from raysweep.training.hyperparameters import Hyperparameters
from raysweep.training.loop import TrainingRun
from raysweep.training.schedule import Schedule
from raysweep.vocabulary import Way
from tests.benchmarks.networks import convolutional, noise, resident, title
from tests.benchmarks.records import Record

PACKED = 8
STEPS = 3 * MOST  # of a figure
COMPARED = 60  # steps after which bits are compared; an epoch ends within them
# Milliseconds a step and network, everything included, with eight networks on one H100.
GOALS = {("vgg16", 16): 0.7, ("vgg16", 64): 1.6, ("resnet20", 16): 1.5, ("resnet20", 64): 3.3}
SETTINGS = Hyperparameters(
    128,
    "sgd",
    0.9,
    False,
    5e-4,
    Schedule("cosine", 0.1, 10**5, warmup=500),
    0,
    augment="flip_crop",
    precision="bfloat16",
    channels_last=True,
)
CAPTURED, PLAIN = (Way.CAPTURED, Way.PLAIN), (Way.PLAIN,)
UNUSUAL = {  # networks in tests/networks.py, and how their steps must be taken
    "dropping": Way.CAPTURED,
    "waiting": Way.PLAIN,
    "skipping": Way.PLAIN,
}


def new_runs(
    config: ModelConfig,
    data: Resident,
    count: int,
    ways: tuple[Way, ...] = tuple(Way),
    settings: Hyperparameters = SETTINGS,
    sparsity: float = 0.0,
) -> list[TrainingRun]:
    """Runs of several replicates, shortly before the end of an epoch, whose last batch is smaller."""
    device, template, found = data.train.images.device, build(config), []
    start = settings.steps_per_epoch(len(data.train)) - 8
    for seed in range(count):
        model = initialised(config, "kaiming_normal", seed).to(device)
        if settings.channels_last:
            model.to(memory_format=torch.channels_last)
        draw = torch.Generator().manual_seed(seed)
        weights = [(name, p.shape) for name, p in model.named_parameters() if p.dim() > 1 and sparsity]
        masks = {name: torch.rand(shape, generator=draw) > sparsity for name, shape in weights}
        own = replace(settings, data_seed=seed)
        found.append(TrainingRun(model, data, own, start, masks, ways=ways, template=template))
    return found


def take(runs: Sequence[TrainingRun], steps: int) -> float:
    """Take steps in turns, as the engine does; return the milliseconds of one step of one network."""
    began, ends = time.perf_counter(), [run.step + steps for run in runs]
    while any(run.step < end for run, end in zip(runs, ends, strict=True)):
        for run, end in zip(runs, ends, strict=True):
            run.begin(min(end, run.step + MOST))
        for run in runs:
            run.check(but=1)
    for run in runs:
        run.check()
    return (time.perf_counter() - began) / steps / len(runs) * 1e3


def bits(run: TrainingRun) -> str:
    sha = hashlib.sha256()
    for tensor in run.model.state_dict().values():
        sha.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()[:16]


def of_network(config: ModelConfig, data: Resident, rounds: int, steps: int) -> Iterator[Record]:
    name = f"{title(config)}, a step"
    plain = new_runs(config, data, 1, PLAIN, replace(SETTINGS, precision="float32", channels_last=False))
    take(plain, 10)
    eager = [take(plain, 10) for _ in range(rounds)]
    yield Record(f"{name}, plain, float32", "ms", eager)
    began = time.perf_counter()
    runs = new_runs(config, data, PACKED)
    take(runs[:1], 10)
    yield Record(f"{title(config)}, compilation and capture", "s", [time.perf_counter() - began])
    take(runs[1:], 10)
    note = f"{runs[0].way}, bfloat16; floor: plain, float32"
    alone = [take(runs[:1], steps) for _ in range(rounds)]
    yield Record(f"{name}, alone", "ms", alone, None, note, eager)
    packed = [take(runs[1:], steps) for _ in range(rounds)]
    goal = GOALS.get((config.model, config.width))
    yield Record(f"{name}, {PACKED - 1} packed", "ms", packed, goal, note)
    yield agreement(
        f"{title(config)}, bits alone and packed", bits(runs[0]), bits_packed(config, data, runs[0])
    )


def bits_packed(config: ModelConfig, data: Resident, like: TrainingRun) -> str:
    """The bits of the first replicate after as many steps, packed with others."""
    runs = new_runs(config, data, 3, (like.way, Way.PLAIN))
    take(runs, like.step - runs[0].step)
    return bits(runs[0])


def agreement(name: str, one: str, other: str) -> Record:
    return Record(name, "agree", [float(one == other)], 1, f"{one} and {other}", least=True)


def of_pruned(config: ModelConfig, data: Resident, rounds: int, steps: int) -> Record:
    runs = [new_runs(config, data, PACKED, sparsity=sparsity) for sparsity in (0.0, 0.8)]
    for each in runs:
        take(each, 10)
    dense, pruned = zip(*([take(each, steps) for each in runs] for _ in range(rounds)), strict=True)
    return Record(f"{title(config)}, a pruned step, packed", "ms", pruned, 1.1, "floor: dense", dense)


def of_captured(config: ModelConfig, data: Resident, rounds: int, steps: int) -> Record:
    runs = new_runs(config, data, PACKED, CAPTURED)
    take(runs, 10)
    found = [take(runs, steps) for _ in range(rounds)]
    return Record(
        f"{title(config)}, a step, captured and not compiled, packed", "ms", found, None, runs[0].way
    )


def of_unusual(name: str, data: Resident, steps: int) -> Iterator[Record]:
    """A network that drops, waits for the device, or draws on the host: its way, and bits when packed."""
    config = ModelConfig(f"tests.networks:{name}", 8, None, "none", (3, 32, 32), 10)
    settings = replace(SETTINGS, precision="float32", channels_last=False)
    packed, alone = (new_runs(config, data, count, CAPTURED, settings) for count in (3, 1))
    take(packed, steps)
    take(alone, steps)
    yield agreement(f"{name}, its way", packed[0].way, UNUSUAL[name])
    yield agreement(f"{name}, bits alone and packed", bits(alone[0]), bits(packed[0]))


def of_processes(config: ModelConfig, data: Resident, steps: int) -> Record:
    """Whether another process, which compiles anew, gives the same bits."""
    (run,) = new_runs(config, data, 1)
    take([run], steps)
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": cache, "TRITON_CACHE_DIR": cache}
        what = config.model, config.width, len(data.train), data.train.images.device.type, steps
        command = [sys.executable, "-m", __name__, *map(str, what)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
    other = done.stdout.split()[-1] if done.returncode == 0 else done.stderr[-200:]
    return agreement(f"{title(config)}, bits of two processes", bits(run), other)


def records(data: Resident, rounds: int, widths: Sequence[int], steps: int) -> Iterator[Record]:
    configs = convolutional(*widths)
    for config in configs:
        yield from of_network(config, data, rounds, steps)
    yield of_pruned(configs[0], data, rounds, steps)
    yield of_captured(configs[0], data, rounds, steps)
    for name in UNUSUAL:
        yield from of_unusual(name, data, min(steps, COMPARED))
    yield of_processes(convolutional(widths[-1])[0], data, min(steps, COMPARED))


def main() -> None:
    """Print the bits that `of_processes` compares."""
    from raysweep.work.device import make_deterministic

    make_deterministic(1)
    model, width, examples, device, steps = sys.argv[1:]
    (config,) = (each for each in convolutional(int(width)) if each.model == model)
    (run,) = new_runs(config, resident(noise(int(examples)), device), 1)
    take([run], int(steps))
    print(bits(run))


if __name__ == "__main__":
    main()
