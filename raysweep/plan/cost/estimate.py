"""What a plan will cost, estimated from the sizes of its networks."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from raysweep.choices import choose
from raysweep.plan.cost.alignments import alignments
from raysweep.plan.cost.rates import (
    core_seconds,
    core_step_seconds,
    evaluation_seconds,
    plain_seconds,
    step_seconds,
)
from raysweep.plan.cost.sizes import sizes, whole_sizes
from raysweep.plan.desired import Desired
from raysweep.plan.identity import Trial
from raysweep.plan.probes import ModelSize
from raysweep.plan.todo import Todo
from raysweep.sweep.measures import examples_of
from raysweep.training.registry import optimiser_entry
from raysweep.vocabulary import Interpolation, Split, Statistics

BYTES_PER_PARAMETER = 4
UNIT_BYTES = 4  # of a unit in a permutation
POINTS_BYTES = 40  # a point of a curve: weights, loss, error
METRIC_EXAMPLES = 10_000  # training images at most that are evaluated after each epoch, besides the test set


@dataclass(frozen=True)
class Estimate:
    """The number of bytes to be written, and of floating-point operations by which the rest is estimated.

    `alignment_seconds` are those of one core, because assignments are not a matter of such operations.
    """

    bytes: int
    training_flops: float
    alignment_flops: float
    alignment_seconds: float
    barrier_flops: float


@dataclass(frozen=True)
class Hours:
    """The hours that one GPU, or one core, takes for the parts of a plan."""

    training: float
    alignments: float
    barriers: float

    @property
    def whole(self) -> float:
        return self.training + self.alignments + self.barriers


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
    """Points of curves of networks like that of a trial, each of which is evaluated on some examples.

    For measures, `again` so many examples pass each point once more; None where nothing is measured.
    """

    trial: Trial
    size: ModelSize
    points: int
    examples: int
    again: int | None

    @property
    def passed(self) -> int:
        """The examples that pass all points."""
        return self.points * (self.examples + (self.again or 0))


def estimate(wanted: Desired, work: Todo) -> Estimate:
    """Estimate the work still to do: two operations a weight and example forward, four backward.

    A weight of a convolution is used at every pixel of its output, which is counted.
    """
    stored = sum(_trial_bytes(wanted, trial, _levels(wanted, work, trial)) for trial in work.trials)
    aligned = Counter(job.networks[0].trial_id for job in work.alignments for _ in job.networks)
    for trial_id, count in aligned.items():
        stored += sizes(wanted, wanted.trials[trial_id])[1].units * UNIT_BYTES * count
    points, splits = list(_barriers(wanted, work)), len(wanted.sweep.sections.compare.splits)
    stored += sum(each.points for each in points) * POINTS_BYTES * splits
    return Estimate(
        int(stored),
        sum(6.0 * each.size.products * each.steps * each.batch for each in _trainings(wanted, work)),
        sum(each.flops for each in alignments(wanted, work)),
        sum(each.cpu_seconds for each in alignments(wanted, work)),
        sum(2.0 * each.size.products * each.passed for each in points),
    )


def gpu_hours(wanted: Desired, work: Todo, gpu: str, everything: bool) -> Hours:
    """Estimate the hours on one GPU from measured rates; see `raysweep.plan.cost.rates`.

    The time of training is steps x time of a step + evaluations after each epoch; that of barriers is points
    x time of an evaluation, and of a plain one more where something is measured. Unless `everything` is
    counted, only what has `device: cuda` is.
    """
    sections, training, aligned, barriers = wanted.sweep.sections, 0.0, 0.0, 0.0
    compare, worker = sections.compare, sections.resources.align
    for run in _trainings(wanted, work):
        settings = run.trial.training
        if everything or settings.device == "cuda":
            what = gpu, settings.model, settings.precision, run.size.products
            training += run.steps * step_seconds(*what, run.batch) + evaluation_seconds(*what, run.evaluated)
    if everything or sections.align.device == "cuda":
        at_once = worker.cpu / worker.gpu if worker.gpu else 1.0
        aligned = sum(each.gpu_seconds(gpu, at_once) for each in alignments(wanted, work))
    for some in _barriers(wanted, work):
        if everything or compare.device == "cuda":
            what = gpu, some.trial.training.model, compare.precision, some.size.products
            barriers += some.points * evaluation_seconds(*what, some.examples)
            if some.again is not None:
                barriers += some.points * plain_seconds(*what, some.examples + some.again)
    return Hours(training / 3600, aligned / 3600, barriers / 3600)


def cpu_hours(wanted: Desired, work: Todo) -> Hours:
    """Estimate the hours of one core for what has `device: cpu`; see `raysweep.plan.cost.rates`."""
    sections, training, aligned, barriers = wanted.sweep.sections, 0.0, 0.0, 0.0
    for run in _trainings(wanted, work):
        if run.trial.training.device == "cpu":
            training += run.steps * core_step_seconds(run.size, run.batch)
            training += core_seconds(run.size, run.evaluated)
    if sections.align.device == "cpu":
        aligned = sum(each.cpu_seconds for each in alignments(wanted, work))
    if sections.compare.device == "cpu":
        barriers = sum(core_seconds(some.size, some.passed) for some in _barriers(wanted, work))
    return Hours(training / 3600, aligned / 3600, barriers / 3600)


def _trainings(wanted: Desired, work: Todo) -> Iterator[_Training]:
    for trial in work.trials:
        extent, (facts, size) = wanted.extents[trial.trial_id], sizes(wanted, trial)
        steps, levels = extent.total - extent.start, _levels(wanted, work, trial)
        evaluations = (steps / extent.per_epoch + 1) * levels
        examples = min(facts.train_examples, METRIC_EXAMPLES) + facts.test_examples
        batch = facts.train_examples / extent.per_epoch
        yield _Training(trial, size, steps * levels, batch, evaluations * examples)


def _barriers(wanted: Desired, work: Todo) -> Iterator[_Points]:
    compare = wanted.sweep.sections.compare
    side = compare.subdivisions
    grids = {
        Interpolation.PAIR: compare.alphas,
        Interpolation.SIMPLEX: (side + 1) * (side + 2) // 2,
        Interpolation.MEAN: 1,
    }
    again = None
    if work.barriers.measured():
        again = max(map(examples_of, compare.measures)) * len(compare.splits)
    for (trial_id, interpolation, statistics), count in work.barriers.sizes().items():
        trial = wanted.trials[trial_id]
        facts, size = whole_sizes(wanted, trial)
        mending = min(facts.train_examples, compare.train_examples)
        evaluated = {Split.TRAIN: mending, Split.TEST: facts.test_examples}
        examples = sum(choose("split", split, evaluated) for split in compare.splits)
        if statistics != Statistics.KEPT:  # each point of each split first passes training examples
            examples += mending * len(compare.splits)
        points = count * choose("interpolation", interpolation, grids)
        yield _Points(trial, size, points, examples, again)


def _levels(wanted: Desired, work: Todo, trial: Trial) -> int:
    """Return how many levels of a trial are left."""
    return work.levels.get(trial.trial_id, len(wanted.extents[trial.trial_id].levels))


def _trial_bytes(wanted: Desired, trial: Trial, levels: int) -> float:
    extent, (_, size) = wanted.extents[trial.trial_id], sizes(wanted, trial)
    moments = optimiser_entry(trial.training.optimiser).buffers
    states = len(extent.checkpoints) + moments * len(extent.optimisers)
    stored = size.parameters * BYTES_PER_PARAMETER * states * levels
    masks = size.parameters / 8 * levels if trial.prune else 0  # a mask has a bit a weight
    # one resume point each; in the worst case all of them exist at once
    return stored + masks + size.parameters * BYTES_PER_PARAMETER * (1 + moments)
