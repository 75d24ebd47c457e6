"""What a plan will cost, estimated from the sizes of its networks."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from raysweep.choices import choose
from raysweep.plan.identity import Trial, data_config
from raysweep.plan.plan import Desired, Todo
from raysweep.plan.probes import DataFacts, ModelSize, model_config, model_size, probe_data
from raysweep.plan.rates import evaluation_seconds, step_seconds
from raysweep.registry import is_own
from raysweep.training.registry import optimiser_entry
from raysweep.vocabulary import Interpolation, Split

BYTES_PER_PARAMETER = 4
UNIT_BYTES = 4  # of a unit in a permutation
POINTS_BYTES = 40  # a point of a curve: weights, loss, error
METRIC_EXAMPLES = 10_000  # training images at most that are evaluated after each epoch, beside the test set


@dataclass(frozen=True)
class Estimate:
    """The number of bytes to be written, and of floating-point operations by which the rest is estimated.

    Of alignments, those of methods that train permutations are counted.
    """

    bytes: int
    training_flops: float
    alignment_flops: float
    barrier_flops: float


@dataclass(frozen=True)
class GpuHours:
    """The hours that one GPU takes for the training and for the barriers of a plan."""

    training: float
    barriers: float


@dataclass(frozen=True)
class _Training:
    """What is left of a trial: its steps, the examples of a step, and all that it is evaluated on."""

    trial: Trial
    size: ModelSize
    steps: int
    batch: float
    evaluated: float


@dataclass(frozen=True)
class _Points:
    """Points of curves of networks like that of a trial, each of which is evaluated on some examples."""

    trial: Trial
    size: ModelSize
    points: int
    examples: int


def estimate(wanted: Desired, work: Todo) -> Estimate:
    """Estimate the work still to do: two operations a weight and example forward, four backward.

    A weight of a convolution is used at every pixel of its output, which is counted.
    """
    stored = sum(_trial_bytes(wanted, trial) for trial in work.trials)
    sizes = Counter(job.networks[0].trial_id for job in work.alignments for _ in job.networks)
    for trial_id, count in sizes.items():
        stored += _size(wanted, wanted.trials[trial_id])[1].units * UNIT_BYTES * count
    points, splits = list(_barriers(wanted, work)), len(wanted.sweep.sections.compare.splits)
    stored += sum(each.points for each in points) * POINTS_BYTES * splits
    return Estimate(
        int(stored),
        sum(6.0 * each.size.products * each.steps * each.batch for each in _trainings(wanted, work)),
        sum(6.0 * products * examples for products, examples in _trained_mixtures(wanted, work)),
        sum(2.0 * each.size.products * each.examples * each.points for each in points),
    )


def gpu_hours(wanted: Desired, work: Todo, gpu: str, everything: bool) -> GpuHours:
    """Estimate the hours on one GPU from measured rates; see `raysweep.plan.rates`.

    The time of training is steps x time of a step + evaluations after each epoch; that of barriers is points
    x time of an evaluation. Unless `everything` is counted, only what has `device: cuda` is.
    """
    compare, training, barriers = wanted.sweep.sections.compare, 0.0, 0.0
    for run in _trainings(wanted, work):
        settings = run.trial.training
        if everything or settings.device == "cuda":
            what = gpu, settings.model, settings.precision, run.size.products
            training += run.steps * step_seconds(*what, run.batch) + evaluation_seconds(*what, run.evaluated)
    for some in _barriers(wanted, work):
        if everything or compare.device == "cuda":
            what = gpu, some.trial.training.model, compare.precision, some.size.products
            barriers += some.points * evaluation_seconds(*what, some.examples)
    return GpuHours(training / 3600, barriers / 3600)


def _trainings(wanted: Desired, work: Todo) -> Iterator[_Training]:
    for trial in work.trials:
        extent, (facts, size) = wanted.extents[trial.trial_id], _size(wanted, trial)
        steps, levels = extent.total - extent.start, len(extent.levels)
        evaluations = (steps / extent.per_epoch + 1) * levels
        examples = min(facts.train_examples, METRIC_EXAMPLES) + facts.test_examples
        batch = facts.train_examples / extent.per_epoch
        yield _Training(trial, size, steps * levels, batch, evaluations * examples)


def _trained_mixtures(wanted: Desired, work: Todo) -> Iterator[tuple[int, int]]:
    """The products of a mixture, and the examples that it is trained on, by networks and method."""
    align = wanted.sweep.sections.align
    alike = Counter((job.networks[0].trial_id, job.method) for job in work.alignments)
    for (trial_id, method), count in alike.items():
        examples = 0 if is_own(method) else getattr(align, method).trained_examples
        if examples:
            yield _size(wanted, wanted.trials[trial_id])[1].products, examples * count


def _barriers(wanted: Desired, work: Todo) -> Iterator[_Points]:
    compare = wanted.sweep.sections.compare
    side = compare.subdivisions
    grids = {
        Interpolation.PAIR: compare.alphas,
        Interpolation.SIMPLEX: (side + 1) * (side + 2) // 2,
        Interpolation.MEAN: 1,
    }
    for (trial_id, interpolation), count in work.barriers.sizes().items():
        trial = wanted.trials[trial_id]
        facts, size = _size(wanted, trial)
        evaluated = {
            Split.TRAIN: min(facts.train_examples, compare.train_examples),
            Split.TEST: facts.test_examples,
        }
        examples = sum(choose("split", split, evaluated) for split in compare.splits)
        yield _Points(trial, size, count * choose("interpolation", interpolation, grids), examples)


def _trial_bytes(wanted: Desired, trial: Trial) -> float:
    extent, (_, size) = wanted.extents[trial.trial_id], _size(wanted, trial)
    moments, levels = optimiser_entry(trial.training.optimiser).buffers, len(extent.levels)
    states = len(extent.checkpoints) + moments * len(extent.optimisers)
    stored = size.parameters * BYTES_PER_PARAMETER * states * levels
    masks = size.parameters / 8 * levels if trial.prune else 0  # a mask has a bit a weight
    # one resume point each; in the worst case all of them exist at once
    return stored + masks + size.parameters * BYTES_PER_PARAMETER * (1 + moments)


def _size(wanted: Desired, trial: Trial) -> tuple[DataFacts, ModelSize]:
    facts = probe_data(data_config(trial.training, trial.replicate), wanted.sweep.sections.train)
    return facts, model_size(model_config(trial.training, facts.shape, facts.classes))
