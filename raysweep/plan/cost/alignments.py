"""What the alignments of a plan will cost, from the options of their methods and the sizes of networks."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from raysweep.plan.cost.rates import (
    ALIGNMENT,
    ALIGNMENT_STEP,
    ASSIGNMENT,
    CORE,
    PRODUCTS_A_SECOND,
    TRAINED_VALUE,
    VALUE,
    evaluation_seconds,
    step_seconds,
)
from raysweep.plan.cost.sizes import sizes
from raysweep.plan.desired import Desired
from raysweep.plan.identity import Trial
from raysweep.plan.probes import ModelSize
from raysweep.plan.todo import Todo
from raysweep.registry import is_own
from raysweep.sweep.method_options import Options, WeightMatching
from raysweep.vocabulary import Precision


@dataclass(frozen=True)
class Alignments:
    """So many (`count`) alignments of `networks` networks like that of a trial, by a method with options.

    For two trajectories that are aligned at once, each a `stack` of checkpoints, they are two.
    """

    trial: Trial
    size: ModelSize
    options: Options
    networks: int
    stack: int
    count: int

    @property
    def flops(self) -> float:
        """Floating-point operations, without those of the assignments.

        Six for each product and trained example, two for each that passes a network.
        """
        trained = 6.0 * self.size.products * self.options.trained_examples
        passed = 2.0 * self.size.products * self.options.passed_examples * self.networks
        return self.count * (trained + passed + self._of_units)

    @property
    def assigned(self) -> float:
        """Pairs of units in the matrices that are assigned."""
        return self.count * self.size.pairs * self.options.assignments(self.networks)

    @property
    def _of_units(self) -> float:
        """Operations of one alignment that compare units, by their weights or by their activations."""
        pairs = self.networks * (self.networks - 1) / 2
        compared = self.size.pairs * self.options.compared_values * pairs
        return 2.0 * self.stack * (self.size.matched * self.options.products(self.networks) + compared)

    @property
    def _calls(self) -> float:
        """Seconds of one alignment by which small networks are bound."""
        return ALIGNMENT + self.options.steps_taken * ALIGNMENT_STEP

    @property
    def cpu_seconds(self) -> float:
        """Seconds of one core."""
        written = self.options.trained_examples * TRAINED_VALUE
        written += self.options.passed_examples * self.networks * VALUE
        one = self._calls + self.size.values * written
        return self.count * one + self.flops / CORE + self.assigned * ASSIGNMENT

    def gpu_seconds(self, gpu: str, at_once: float) -> float:
        """Seconds of a GPU, for which as many assignments are solved `at_once` as it has cores."""
        what = gpu, self.trial.training.model, Precision.FLOAT32, self.size.products
        trained, batch = self.options.trained_examples, getattr(self.options, "batch_size", 1)
        one = trained / batch * step_seconds(*what, batch) if trained else 0.0
        passed = self.options.passed_examples
        one += self.networks * evaluation_seconds(*what, passed) if passed else 0.0
        one += self._calls + self._of_units / PRODUCTS_A_SECOND[gpu]
        return self.count * one + self.assigned * ASSIGNMENT / at_once


def alignments(wanted: Desired, work: Todo) -> Iterator[Alignments]:
    """Yield the alignments that are left; a user's own method is taken for weight matching."""
    align = wanted.sweep.sections.align
    alike = Counter(
        (job.networks[0].trial_id, job.method, len(job.networks) // job.stack, job.stack)
        for job in work.alignments
    )
    for (trial_id, method, networks, stack), count in alike.items():
        trial = wanted.trials[trial_id]
        options = WeightMatching() if is_own(method) else getattr(align, method)
        yield Alignments(trial, sizes(wanted, trial)[1], options, networks, stack, count)
