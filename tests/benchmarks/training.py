"""Seconds of training against the fewest products, and of two trials at once against one.

SGD with momentum, batch 128, float32, two threads. MLP: an epoch of Fashion-MNIST and a pass over the test
set; the floor is the matrix products of both, outputs preallocated; a plain reference is the usual loop with
torchvision transforms and a DataLoader. Convolutional networks: steps on Fashion-MNIST framed to 32x32 in
three channels; the floor is the forward and backward passes of their own convolutions and linear layers, in
the faster of the two memory layouts. Two trials: two processes of one thread each for the same number of
epochs as one such process alone.
"""

import itertools
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from raysweep.data.arrays import Arrays
from raysweep.data.resident import Resident
from raysweep.models.build import build
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.training.evaluation import CHUNK, evaluate
from tests.benchmarks.networks import (
    convolutional,
    fashion_mnist,
    framed,
    mlp,
    new_run,
    resident,
    seconds,
    title,
    work_alone,
)
from tests.benchmarks.records import Record, in_turn

BATCH = 128
GOAL, PARALLEL_GOAL = 1.6, 1.8


class Images(Dataset[tuple[torch.Tensor, int]]):
    """What most code does: an image at a time through torchvision transforms."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self._images, self._labels = images, labels
        from torchvision import transforms  # takes seconds, which the tests are spared

        self._transform = transforms.Compose([transforms.ToPILImage(), transforms.ToTensor()])

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self._transform(self._images[index].transpose(1, 2, 0)), int(self._labels[index])


def epoch_of(config: ModelConfig, data: Resident) -> Callable[[], None]:
    run = new_run(config, data, BATCH, 0, 10**6)
    per_epoch = -(-len(data.train) // BATCH)

    def epoch() -> None:
        end = run.step + per_epoch
        while run.step < end:  # in strides, as a trial does
            run.advance(min(end, run.step + 50))
        evaluate(run.model, data.test)

    return epoch


def loader(config: ModelConfig, arrays: Arrays) -> Callable[[], None]:
    model = initialised(config, "kaiming_normal", 0)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    train = DataLoader(Images(arrays.train_images, arrays.train_labels), BATCH, shuffle=True)
    test = DataLoader(Images(arrays.test_images, arrays.test_labels), CHUNK)

    def epoch() -> None:
        model.train()
        for images, labels in train:
            optimiser.zero_grad()
            functional.cross_entropy(model(images), labels).backward()
            optimiser.step()
        model.eval()
        with torch.no_grad():
            for images, labels in test:
                (model(images).argmax(1) == labels).sum().item()

    return epoch


def products(width: int, data: Resident) -> Callable[[], None]:
    """Forward, gradient of the weights, gradient of the inputs (but the first), outputs preallocated."""
    sizes = [784, width, width, width, 10]
    weights = [torch.randn(o, i) for i, o in itertools.pairwise(sizes)]
    gradients = [torch.empty_like(w) for w in weights]

    def passes(examples: int, batch: int, train: bool) -> None:
        values = [torch.randn(batch, size) for size in sizes]
        outputs = [torch.empty_like(value) for value in values]
        for _ in range(-(-examples // batch)):
            for layer, weight in enumerate(weights):
                torch.mm(values[layer], weight.T, out=outputs[layer + 1])
            if train:
                for layer in reversed(range(len(weights))):
                    torch.mm(values[layer + 1].T, values[layer], out=gradients[layer])
                    if layer:
                        torch.mm(values[layer + 1], weights[layer], out=outputs[layer])

    def epoch() -> None:
        with torch.no_grad():
            passes(len(data.train), BATCH, train=True)
            passes(len(data.test), CHUNK, train=False)

    return epoch


def own_calls(config: ModelConfig, images: torch.Tensor, layout: torch.memory_format) -> Callable[[], None]:
    """The convolutions and linear layers of one step, each forward and backward on inputs of its own."""
    model = build(config).to(memory_format=layout)
    calls: list[tuple[nn.Module, torch.Tensor, torch.Tensor]] = []

    def note(layer: nn.Module, given: tuple[torch.Tensor, ...], answer: torch.Tensor) -> None:
        kept, gradient = given[0].detach().clone(), torch.randn_like(answer)
        if kept.dim() == 4:
            kept = kept.contiguous(memory_format=layout)
            gradient = gradient.contiguous(memory_format=layout)
        calls.append((layer, kept.requires_grad_(bool(calls)), gradient))  # the first needs no gradient

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(note)
    with torch.no_grad():
        model(images)
    for layer, _, _ in calls:
        layer._forward_hooks.clear()

    def step() -> None:
        for layer, kept, gradient in calls:
            needed = [*layer.parameters(), *([kept] if kept.requires_grad else [])]
            torch.autograd.grad(layer(kept), needed, gradient)

    return step


def mlps(arrays: Arrays, quick: bool) -> Iterator[Record]:
    data = resident(arrays)
    for width in (16,) if quick else (64, 512):
        config = mlp(width)
        works = {"ours": epoch_of(config, data), "floor": products(width, data)}
        if width < 512:
            works["loader"] = loader(config, arrays)
        for work in () if quick else works.values():
            work()
        times = in_turn({name: lambda w=w: seconds(w) for name, w in works.items()}, 1 if quick else 5)
        goal = GOAL if width == 512 else None
        yield Record(f"{title(config)}, an epoch", "s", times["ours"], goal, floor=times["floor"])
        if "loader" in times:
            note = "the same epoch through a DataLoader is the reference"
            yield Record(f"{title(config)}, an epoch", "s", times["ours"], 1, note, times["loader"])


def convolutions(arrays: Arrays, quick: bool) -> Iterator[Record]:
    data, batch, steps = resident(framed(arrays)), 16 if quick else BATCH, 1 if quick else 2
    for config in convolutional(4 if quick else 16):
        run = new_run(config, data, batch, 0, 10**6)
        run.advance(1)
        layouts = (torch.contiguous_format, torch.channels_last)
        floors = [own_calls(config, data.train.images[:batch], layout) for layout in layouts]

        def ours(run=run) -> float:
            return seconds(lambda: run.advance(run.step + steps)) / steps

        def floor(floors=floors) -> float:
            return min(seconds(each) for each in floors)

        floor()
        times = in_turn({"ours": ours, "floor": floor}, 1 if quick else 5)
        yield Record(f"{title(config)}, a step", "s", times["ours"], GOAL, floor=times["floor"])


def _train_alone(arrays: Arrays, epochs: int, start, end) -> None:
    torch.set_num_threads(1)
    epoch = epoch_of(mlp(64), resident(arrays))
    epoch()
    start.wait()
    for _ in range(epochs):
        epoch()
    end.wait()


def at_once(arrays: Arrays, trials: int, epochs: int) -> float:
    """Epochs a second of so many processes together, from the moment at which all are warm."""
    context = multiprocessing.get_context("fork" if not torch.cuda.is_available() else "spawn")
    start, end = context.Barrier(trials + 1), context.Barrier(trials + 1)
    workers = [context.Process(target=_train_alone, args=(arrays, epochs, start, end)) for _ in range(trials)]
    for worker in workers:
        worker.start()
    start.wait()
    began = time.perf_counter()
    end.wait()
    taken = time.perf_counter() - began
    for worker in workers:
        worker.join()
    return trials * epochs / taken


def in_parallel(arrays: Arrays) -> Record:
    trials, epochs = min(2, os.cpu_count() or 1), 8
    works = {"all": lambda: at_once(arrays, trials, epochs), "one": lambda: at_once(arrays, 1, epochs)}
    rates = in_turn(works, 3)
    name, note = f"mlp 64, {trials} trials at once", "one trial alone is the reference"
    return Record(name, "epochs/s", rates["all"], PARALLEL_GOAL, note, rates["one"], least=True)


def records(quick: bool) -> Iterator[Record]:
    arrays = fashion_mnist(quick)
    if not quick:
        yield in_parallel(arrays)
    work_alone(quick)
    yield from mlps(arrays, quick)
    yield from convolutions(arrays, quick)
