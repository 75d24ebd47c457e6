"""What a plan will cost, from the size of its networks."""

from dataclasses import dataclass

from raysweep.data.arrays import load_arrays
from raysweep.sweep.plan import Desired, Todo

BYTES_PER_PARAMETER = 4
POINTS_BYTES = 40  # a point of a curve: weights, loss, error


@dataclass(frozen=True)
class Estimate:
    """`bytes` that will be written, floating-point operations for training and for barriers."""

    bytes: int
    training_flops: float
    barrier_flops: float


def estimate(wanted: Desired, work: Todo) -> Estimate:
    """Estimate the work still to do: two operations a weight and example forward, four backward."""
    sizes = {trial.group: _size(wanted, trial.trial_id) for trial in wanted.trials.values()}
    compare = wanted.sweep.sections.compare
    stored = training = barriers = 0.0
    for trial in work.trials:
        parameters, examples, _ = sizes[trial.group]
        stored += parameters * BYTES_PER_PARAMETER * len(wanted.cursors[trial.trial_id].checkpoints)
        training += 6.0 * parameters * examples * trial.training.epochs
    for unit in work.barriers:
        parameters, train, test = sizes[unit.group]
        steps = compare.subdivisions
        points = compare.alphas if unit.interpolation == "pair" else (steps + 1) * (steps + 2) // 2
        evaluated = {"train": min(train, compare.train_examples), "test": test}
        examples = sum(evaluated[split] for split in compare.splits)
        barriers += 2.0 * parameters * examples * points
        stored += points * POINTS_BYTES * len(compare.splits)
    return Estimate(int(stored), training, barriers)


def _size(wanted: Desired, trial_id: str) -> tuple[int, int, int]:
    """Return parameters, training examples and test examples."""
    from raysweep.models.build import ModelConfig, build

    training, rest = wanted.trials[trial_id].training, wanted.sweep.sections.train
    arrays = load_arrays(training.dataset, rest.data_root, rest.download, training.split_seed)
    config = ModelConfig(
        training.model, training.width, training.depth, training.norm, arrays.shape, arrays.classes
    )
    parameters = sum(tensor.numel() for tensor in build(config).parameters())
    return parameters, len(arrays.train_labels), len(arrays.test_labels)
