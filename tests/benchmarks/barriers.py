"""Seconds per barrier against the fewest products it needs; run as `python -m tests.benchmarks.barriers`.

A barrier: 25 alphas on 10,000 random images of two networks from different seeds (endpoints known). The floor
for an MLP: the first layer of both networks, and at 23 alphas the other layers, as bare products into
preallocated outputs, with the best of several chunk sizes. The floor for a convolutional network: its own
convolution and linear calls alone at 23 alphas (the first one at two), in the faster of the two memory
layouts and the best of several chunk sizes, timed on one chunk and multiplied. Turn by turn in one run;
medians with their range.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from raysweep.connectivity import curve, pair_grid
from raysweep.data.resident import Split
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.flat import FlatNetwork
from raysweep.models.initialise import initialised
from raysweep.training.evaluation import Risk

ALPHAS = 25
INSIDE = ALPHAS - 2
MLPS = [ModelConfig("mlp", width, 3, "none", (1, 28, 28), 10) for width in (64, 512)]
CONVOLUTIONAL = [
    ModelConfig(model, width, None, "layer", (3, 32, 32), 10)
    for model in ("vgg16", "resnet20")
    for width in (16, 64)
]


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def barrier_of(config: ModelConfig, split: Split) -> Callable[[], object]:
    states = [initialised(config, "kaiming_normal", seed).state_dict() for seed in (0, 1)]
    network, ends = FlatNetwork(build(config)), [Risk(0.0, 0.0)] * 2
    return lambda: curve(network, states, ends, pair_grid(ALPHAS), split)


def products(sizes: list[int], images: torch.Tensor, chunk: int) -> Callable[[], object]:
    """The bare products of an MLP with these layer sizes."""
    weights = [torch.randn(a, b) for a, b in itertools.pairwise(sizes)]
    outputs = [torch.empty(chunk, size) for size in sizes[1:]]
    chunks = images.split(chunk)

    def work() -> None:
        for rows in chunks:
            for _ in range(2):
                torch.mm(rows, weights[0], out=outputs[0])
            for _ in range(INSIDE):
                for given, weight, out in zip(outputs, weights[1:], outputs[1:], strict=False):
                    torch.mm(given, weight, out=out)

    return work


def calls(
    config: ModelConfig, images: torch.Tensor, layout: torch.memory_format
) -> list[Callable[[], object]]:
    """The convolution and linear calls of one forward pass over a chunk, each with its own input."""
    model = build(config).eval().requires_grad_(False).to(memory_format=layout)
    found: list[Callable[[], object]] = []

    def note(layer: nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        kept = given[0].clone()
        kept = kept.contiguous(memory_format=layout) if kept.dim() == 4 else kept
        found.append(lambda: layer.forward(kept))

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_pre_hook(note)
    model(images)
    return found


def floors(config: ModelConfig, split: Split) -> list[Callable[[], float]]:
    """Ways to spend the least time; each returns seconds per barrier."""
    if config.model == "mlp":
        sizes, flat = [784, *[config.width] * 3, 10], split.images.flatten(1)
        works = [products(sizes, flat, chunk) for chunk in (250, 500, 1000, 2000)]
        return [lambda work=work: seconds(work) for work in works]
    layouts = (torch.contiguous_format, torch.channels_last)
    return [chunked(config, split, layout, size) for layout in layouts for size in (50, 200, len(split))]


def chunked(config: ModelConfig, split: Split, layout: torch.memory_format, size: int) -> Callable[[], float]:
    """Seconds of all calls of a barrier, from those of one chunk."""
    steps, share = calls(config, split.images[:size], layout), len(split) / size
    return lambda: share * each_chunk(steps)


def each_chunk(steps: list[Callable[[], object]]) -> float:
    """Seconds for one chunk: its first layer under both networks, the others under every mixture."""
    return 2 * seconds(steps[0]) + INSIDE * sum(seconds(step) for step in steps[1:])


def measure(config: ModelConfig, examples: int, rounds: int) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(examples, *config.shape, generator=generator)
    split = Split(images, torch.randint(10, (examples,), generator=generator))
    work, least = barrier_of(config, split), floors(config, split)
    times: dict[str, list[float]] = {"barrier": [], "floor": []}
    with torch.no_grad():
        for _ in range(rounds):
            times["barrier"].append(seconds(work))
            times["floor"].append(min(floor() for floor in least))
    ratio = statistics.median(a / b for a, b in zip(times["barrier"], times["floor"], strict=True))
    shown = ", ".join(
        f"{name} {statistics.median(each):.3f} s ({min(each):.3f} to {max(each):.3f})"
        for name, each in times.items()
    )
    print(
        f"{config.model} width {config.width}: {shown}, ratio {ratio:.2f}, n = {rounds}, {examples:,} images",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=1000, help="for the convolutional networks")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for config in MLPS:
        measure(config, 10_000, arguments.rounds)
    for config in CONVOLUTIONAL:
        measure(config, arguments.images, max(1, arguments.rounds // 3))


if __name__ == "__main__":
    main()
