"""What a plan will cost, estimated from the sizes of its networks."""

from collections import Counter
from dataclasses import dataclass

from raysweep.choices import choose
from raysweep.plan.identity import Trial, data_config
from raysweep.plan.plan import Desired, Todo
from raysweep.plan.probes import DataFacts, ModelSize, model_config, model_size, probe_data
from raysweep.vocabulary import Interpolation, Split

BYTES_PER_PARAMETER = 4
MOMENTS = {"sgd": 1, "adamw": 2}  # buffers of the size of the weights that an optimiser keeps
UNIT_BYTES = 4  # of a unit in a permutation
POINTS_BYTES = 40  # a point of a curve: weights, loss, error


@dataclass(frozen=True)
class Estimate:
    """The number of bytes to be written, and of floating-point operations for training and barriers."""

    bytes: int
    training_flops: float
    barrier_flops: float


def estimate(wanted: Desired, work: Todo) -> Estimate:
    """Estimate the work still to do: two operations a weight and example forward, four backward.

    A weight of a convolution is used at every pixel of its output, which is counted.
    """
    compare = wanted.sweep.sections.compare
    stored = training = barriers = 0.0
    for trial in work.trials:
        extent, (facts, size) = wanted.extents[trial.trial_id], _size(wanted, trial)
        moments, levels = choose("optimiser", trial.training.optimiser, MOMENTS), len(extent.levels)
        states = len(extent.checkpoints) + moments * len(extent.optimisers)
        stored += size.parameters * BYTES_PER_PARAMETER * states * levels
        stored += size.parameters / 8 * levels if trial.prune else 0  # a mask has a bit a weight
        # one resume point each; in the worst case all of them exist at once
        stored += size.parameters * BYTES_PER_PARAMETER * (1 + moments)
        steps = (extent.total - extent.start) * len(extent.levels)
        training += 6.0 * size.products * steps * facts.train_examples / extent.per_epoch
    sizes = Counter(job.networks[0].trial_id for job in work.alignments for _ in job.networks)
    for trial_id, count in sizes.items():
        stored += _size(wanted, wanted.trials[trial_id])[1].units * UNIT_BYTES * count
    side = compare.subdivisions
    grids = {
        Interpolation.PAIR: compare.alphas,
        Interpolation.SIMPLEX: (side + 1) * (side + 2) // 2,
        Interpolation.MEAN: 1,
    }
    alike = Counter((job.networks[0].trial_id, job.comparison.interpolation) for job in work.barriers)
    for (trial_id, interpolation), count in alike.items():
        facts, size = _size(wanted, wanted.trials[trial_id])
        points = count * choose("interpolation", interpolation, grids)
        evaluated = {
            Split.TRAIN: min(facts.train_examples, compare.train_examples),
            Split.TEST: facts.test_examples,
        }
        examples = sum(choose("split", split, evaluated) for split in compare.splits)
        barriers += 2.0 * size.products * examples * points
        stored += points * POINTS_BYTES * len(compare.splits)
    return Estimate(int(stored), training, barriers)


def _size(wanted: Desired, trial: Trial) -> tuple[DataFacts, ModelSize]:
    facts = probe_data(data_config(trial.training, trial.replicate), wanted.sweep.sections.train)
    return facts, model_size(model_config(trial.training, facts.shape, facts.classes))
