"""Seconds per epoch against what surrounds them; run as `python -m tests.benchmarks.training`.

MLP 784-w-w-w-10 on Fashion-MNIST, batch 128, SGD with momentum, float32, one test pass per epoch. In one
run, turn by turn: our loop; the usual loop with torchvision transforms and a DataLoader; the bare matrix
products of the epoch. Prints medians with their range, ratios to the bare products, and where the time
of our loop goes by operation.
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from raysweep.data import DataConfig, load_arrays, scaling_of
from raysweep.data.arrays import Arrays
from raysweep.data.resident import Resident, make_resident
from raysweep.models.config import ModelConfig
from raysweep.models.initialise import initialised
from raysweep.training.evaluation import CHUNK, evaluate
from raysweep.training.loop import Hyperparameters, TrainingRun
from raysweep.training.schedule import Schedule

BATCH = 128


class Images(Dataset[tuple[torch.Tensor, int]]):
    """What most code does: an image at a time through torchvision transforms."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self._images, self._labels = images, labels
        self._transform = transforms.Compose([transforms.ToPILImage(), transforms.ToTensor()])

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self._transform(self._images[index].transpose(1, 2, 0)), int(self._labels[index])


def ours(width: int, data: Resident) -> Callable[[], None]:
    model = initialised(ModelConfig("mlp", width, 3, "none", (1, 28, 28), 10), "kaiming_normal", 0)
    schedule = Schedule("constant", 0.1, 10**6)
    run = TrainingRun(model, data, Hyperparameters(BATCH, "sgd", 0.9, False, 1e-4, schedule, 0))
    per_epoch = -(-len(data.train) // BATCH)

    def epoch() -> None:
        for _ in range(per_epoch // 50):  # in strides, as a trial does
            run.advance(run.step + 50)
        run.advance(run.step + per_epoch % 50)
        evaluate(model, data.test)

    return epoch


def loader(width: int, arrays: Arrays) -> Callable[[], None]:
    model = initialised(ModelConfig("mlp", width, 3, "none", (1, 28, 28), 10), "kaiming_normal", 0)
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


def breakdown(epoch: Callable[[], None], shown: int = 6) -> str:
    """Return the operations of one epoch with the largest shares of its time."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        epoch()
    rows = sorted(profiler.key_averages(), key=lambda row: row.self_cpu_time_total, reverse=True)
    total = sum(row.self_cpu_time_total for row in rows)
    largest = [f"{row.key} {row.self_cpu_time_total / total:.0%}" for row in rows[:shown]]
    rest = sum(row.self_cpu_time_total for row in rows[shown:]) / total
    return ", ".join([*largest, f"the rest {rest:.0%}"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 512])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arrays = load_arrays(DataConfig("fashion_mnist"))
    data = make_resident(arrays, torch.device("cpu"), scaling_of(arrays, "unit"))
    for width in arguments.widths:
        kinds = {
            "raysweep": ours(width, data),
            "DataLoader": loader(width, arrays),
            "matrix products": products(width, data),
        }
        times: dict[str, list[float]] = {kind: [] for kind in kinds}
        for _ in range(arguments.rounds):
            for kind, epoch in kinds.items():
                began = time.perf_counter()
                epoch()
                times[kind].append(time.perf_counter() - began)
        floor = statistics.median(times["matrix products"])
        for kind, seconds in times.items():
            median = statistics.median(seconds)
            print(
                f"width {width:4}  {kind:16} {median:6.2f} s an epoch "
                f"({min(seconds):.2f} to {max(seconds):.2f}, n = {len(seconds)})  "
                f"{median / floor:5.2f} x products"
            )
        print(f"width {width:4}  raysweep's time: {breakdown(kinds['raysweep'])}")


if __name__ == "__main__":
    main()
