"""Points of barriers on a GPU by precision, whether their bits repeat, and how far the precision moves them.

A point: 10,000 images of 3x32x32 under one mixture of two networks, streamed through the compiled and
captured evaluation; eager is `evaluate` in the same precision. Bits are compared between runs of a line, with
a second network that has a graph of its own, and with another process that compiles everything anew.

The images are noise around one pattern per class, so that no files are needed. What matters most comes first,
and what would begin after the allotted seconds is left out.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

import torch
from torch.nn import functional

from raysweep.connectivity import barrier, curve, pair_grid
from raysweep.connectivity.mixtures import Mixtures
from raysweep.connectivity.streaming import evaluation_of, streamed_risks
from raysweep.data.resident import Split
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.flat import FlatNetwork
from raysweep.models.initialise import initialised
from raysweep.models.precision import Numerics, computing_in
from raysweep.training import repeated_evaluation
from raysweep.training.evaluation import Risk, evaluate
from raysweep.vocabulary import WAYS
from raysweep.work.device import make_deterministic
from tests.benchmarks.networks import State, convolutional, title
from tests.benchmarks.records import Record

GOALS = {("vgg16", 16): 12, ("vgg16", 64): 26, ("resnet20", 16): 22, ("resnet20", 64): 60}  # ms, bfloat16
SECONDS = 70
MOVES = 0.001  # error; barriers are to move by less
ELSEWHERE = (
    "RAYSWEEP_BENCHMARK_LINE"  # asks another process for a line, in a folder of its own for compilation
)


def records(quick: bool, device: str = "cuda", seconds: float = SECONDS) -> Iterator[Record]:
    """Everything on a device; on a processor this shows only that it works."""
    if device == "cuda" and not torch.cuda.is_available():
        return
    make_deterministic(1)
    began, split = time.perf_counter(), images(100 if quick else 10_000, device)
    configs = convolutional(2) if quick else convolutional(16, 64)
    parts: list[Callable[[], Iterator[Record]]] = [
        *(lambda c=config: of_points(c, "bfloat16", split, 1 if quick else 5) for config in configs),
        *(lambda c=config: moved(c, split, 2 if quick else 100) for config in configs if config.width < 64),
        lambda: in_another_process(configs[-1], quick, device),
        *(lambda c=config: in_smaller_passes(c, split, 1 if quick else 5) for config in configs),
        *(
            lambda c=config, p=precision: of_points(c, p, split, 1 if quick else 3)
            for precision in ("float32", "tf32")
            for config in configs
            if device == "cuda" or precision == "float32"
        ),
    ]
    for part in parts:
        if quick or time.perf_counter() - began < seconds:
            yield from part()


def images(examples: int, device: str) -> Split:
    """Noise around one pattern for each of ten classes."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(10, (examples,), generator=generator)
    patterns = functional.interpolate(torch.randn(10, 3, 4, 4, generator=generator), scale_factor=8)
    noise = torch.randn(examples, 3, 32, 32, generator=generator)
    return Split((patterns[labels] + 2 * noise).to(device), labels.to(device))


def line(
    config: ModelConfig, precision: str, split: Split, points: int = 7
) -> Callable[[], tuple[list[Risk], str]]:
    """Return what evaluates a line between two random networks, and says how: compiled, captured or plain."""
    numerics = Numerics(precision, WAYS["auto"])
    network = FlatNetwork(build(config).to(split.images.device), numerics, config)
    states = [initialised(config, "kaiming_normal", seed).state_dict() for seed in (0, 1)]
    vectors = [network.flatten(state) for state in states]
    return lambda: (
        streamed_risks(network, Mixtures(network, vectors), pair_grid(points), split),
        evaluation_of(network, split).way,
    )


def of_points(config: ModelConfig, precision: str, split: Split, rounds: int) -> Iterator[Record]:
    began = time.perf_counter()
    evaluated = line(config, precision, split)
    first, way = evaluated()
    note = f"{way}; prepared and compared with eager in {time.perf_counter() - began:.1f} s"
    found, times = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        found.append(evaluated()[0])
        times.append(1000 * (time.perf_counter() - began) / len(first))
    goal = GOALS.get((config.model, config.width)) if precision == "bfloat16" else None
    name = f"{title(config)} in {precision}, a point on {len(split):,} images"
    yield Record(name, "ms", times, goal, note)
    reference = [eager(config, precision, split) for _ in times]
    yield Record(f"{name}, beside eager", "ms", times, note="eager is the reference", floor=reference)
    again = [*found, line(config, precision, split)()[0]]
    differing = sum(each != first for each in again)
    note = f"of {len(again)}, the last one by another graph"
    yield Record(f"{title(config)} in {precision}, lines of other bits", "lines", [differing], 0, note)


def in_smaller_passes(config: ModelConfig, split: Split, rounds: int) -> Iterator[Record]:
    """A point in passes of a quarter of the examples, whose values stay in the caches of a GPU for longer."""
    device = split.images.device.type
    usual, times = repeated_evaluation.ROOM[device], []
    repeated_evaluation.ROOM[device] = usual // 4
    try:
        evaluated = line(config, "bfloat16", split)
        points = len(evaluated()[0])
        for _ in range(rounds):
            began = time.perf_counter()
            evaluated()
            times.append(1000 * (time.perf_counter() - began) / points)
    finally:
        repeated_evaluation.ROOM[device] = usual
    yield Record(f"{title(config)} in bfloat16, a point in passes of a quarter of the size", "ms", times)


def eager(config: ModelConfig, precision: str, split: Split) -> float:
    """Milliseconds of a plain evaluation."""
    model = build(config).to(split.images.device).eval().requires_grad_(False)
    with computing_in(precision, split.images.device):
        evaluate(model, split)
        began = time.perf_counter()
        evaluate(model, split)  # it waits for its result
        return 1000 * (time.perf_counter() - began)


def moved(config: ModelConfig, split: Split, steps: int) -> Iterator[Record]:
    """How far the barrier between two networks that were trained for a while moves."""
    states, device = [trained(config, split, seed, steps) for seed in (0, 1)], split.images.device
    found = {}
    for precision in ("float32", "tf32", "bfloat16") if device.type == "cuda" else ("float32", "bfloat16"):
        network = FlatNetwork(build(config).to(device), Numerics(precision))
        found[precision] = barrier(curve(network, states, pair_grid(9), split))
    exact = found.pop("float32")
    for precision, other in found.items():
        loss = abs(other.loss_barrier - exact.loss_barrier)
        note = (
            f"of {exact.error_barrier:.3f}; the loss barrier by {loss:.2g} of {exact.loss_barrier:.3f} nats"
        )
        moves = abs(other.error_barrier - exact.error_barrier)
        yield Record(f"{title(config)}, by {precision} an error barrier moves", "error", [moves], MOVES, note)


def trained(config: ModelConfig, split: Split, seed: int, steps: int) -> State:
    model = initialised(config, "kaiming_normal", seed).to(split.images.device)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        batch = torch.randint(len(split), (128,), generator=generator).to(split.images.device)
        optimiser.zero_grad()
        functional.cross_entropy(model(split.images[batch]), split.labels[batch]).backward()
        optimiser.step()
    return model.state_dict()


def in_another_process(config: ModelConfig, quick: bool, device: str) -> Iterator[Record]:
    """Whether another process, which compiles the code itself, computes the same bits."""
    asked = json.dumps({"model": config.model, "width": config.width, "quick": quick, "device": device})
    began = time.perf_counter()
    ours, note = asked_line(asked), ""
    with tempfile.TemporaryDirectory() as folder:
        more = {ELSEWHERE: asked, "TORCHINDUCTOR_CACHE_DIR": folder}
        command = [sys.executable, "-m", "tests.benchmarks.accelerator_barriers"]
        answer = subprocess.run(command, env=os.environ | more, capture_output=True, text=True)
    if answer.returncode:
        differing, note = len(ours), f"it failed: {answer.stderr.strip().splitlines()[-1]}; "
    else:
        theirs = [Risk(**each) for each in json.loads(answer.stdout.splitlines()[-1])]
        differing = sum(a != b for a, b in zip(theirs, ours, strict=True))
    note += f"another process, in {time.perf_counter() - began:.0f} s with ours"
    yield Record(f"{title(config)} in bfloat16, points of other bits", "points", [differing], 0, note)


def asked_line(asked: str) -> list[Risk]:
    what = json.loads(asked)
    (config,) = (c for c in convolutional(what["width"]) if c.model == what["model"])
    return line(config, "bfloat16", images(100 if what["quick"] else 10_000, what["device"]))()[0]


if __name__ == "__main__":
    make_deterministic(1)
    print(json.dumps([vars(risk) for risk in asked_line(os.environ[ELSEWHERE])]))
