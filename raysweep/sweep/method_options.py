"""The options of the methods of alignment: a section of `align` for each method, of its name."""

from typing import Literal

from pydantic import Field

from raysweep.sweep.fields import Number, Strict, Whole
from raysweep.vocabulary import Kernel, Order, Similarity, Tensor

ROUNDS = 10  # of swaps that small networks take; see `Learned`
CANDIDATE = 170  # examples forward and backward that cost as much as trying one swap
# What was usual and measured of MLPs of the widths 32 to 512 on the digits:
SWEEPS, JOINT_SWEEPS = 15, 45  # over all layers in an ascent
ROTATED_SWEEPS = 40  # of two ascents with rotations, of vision transformers of the widths 16 to 64
ASCENDED = 20  # steps of Frank-Wolfe
ROUND = 20  # steps whose calls take as long as those of a round of swaps
RELAXED = 3  # assignments that take as long as relaxing the permutations of a step, forward and backward
AROUND = 3  # products of weights with relaxed permutations in a step, forward and backward


class Options(Strict):
    """The options of a method. What it costs to align some networks follows from them, for plans."""

    @property
    def trained_examples(self) -> int:
        """How many examples a mixture of the networks is trained on, forward and backward."""
        return 0

    @property
    def steps_taken(self) -> int:
        """How many steps an alignment takes, each of many calls."""
        return 0

    @property
    def passed_examples(self) -> int:
        """How many examples pass each network forward."""
        return 0

    @property
    def compared_values(self) -> int:
        """How many values of each unit of a network are compared with those of each unit of another one."""
        return 0

    def products(self, networks: int) -> float:
        """How often the products of all weights are taken with all units of another network."""
        return 0

    def assignments(self, networks: int) -> float:
        """How often all units of a network are assigned, or as much work."""
        return 0


def _sweeps(networks: int) -> float:
    return SWEEPS if networks == 2 else JOINT_SWEEPS * networks


class Trained(Options):
    """The options of a method that trains permutations on the loss of mixtures."""

    steps: Whole = Field(default=200, gt=0, description="The number of optimiser steps.")
    batch_size: Whole = Field(
        default=256, gt=0, description="The number of training examples in a step, without augmentation."
    )

    examples: Whole = Field(
        default=10_000, gt=0, description="The number of training examples that batches are drawn from."
    )

    @property
    def trained_examples(self) -> int:
        return self.steps * self.batch_size

    @property
    def steps_taken(self) -> int:
        return self.steps


class WeightMatching(Options):
    kernel: Kernel = Field(
        default=Kernel.LINEAR, description="Which similarity of the weights of two units is maximised."
    )
    order: Order = Field(
        default=Order.RANDOM,
        description="The order in which a round of coordinate ascent visits the layers.",
    )
    biases: bool = Field(
        default=True, description="Whether biases and other vectors are matched along with the weights."
    )
    restarts: Whole = Field(
        default=1,
        gt=0,
        description="The number of ascents for each pair, or for each set of networks that are aligned at "
        "once; the one that reaches the best objective is kept.",
    )

    def products(self, networks: int) -> float:
        return self.restarts * _sweeps(networks)

    def assignments(self, networks: int) -> float:
        return self.restarts * _sweeps(networks)


class ActivationMatching(Options):
    tensor: Tensor = Field(
        default=Tensor.LAST,
        description="Which values of a unit are compared: those before its norm and nonlinearity (`first`), "
        "those after them (`last`), or the sum of all similarities (`all`).",
    )
    similarity: Similarity = Field(
        default=Similarity.CORRELATION,
        description="Which similarity of the activations of two units is maximised.",
    )
    examples: Whole = Field(
        default=10_000,
        gt=0,
        description="The number of training examples on which activations are recorded, without "
        "augmentation.",
    )
    pixels: Whole = Field(
        default=1,
        gt=0,
        description="The number of pixels of each example at which the value of a channel is recorded.",
    )

    @property
    def passed_examples(self) -> int:
        return self.examples

    @property
    def compared_values(self) -> int:
        return self.examples * self.pixels

    def assignments(self, networks: int) -> float:
        return 1 if networks == 2 else JOINT_SWEEPS * networks


class Ascent(Options):
    order: Order = Field(
        default=Order.RANDOM,
        description="The order in which a round of coordinate ascent visits the layers.",
    )

    def products(self, networks: int) -> float:
        return _sweeps(networks)

    def assignments(self, networks: int) -> float:
        return _sweeps(networks)


class OrthogonalMatching(Options):
    streams: bool = Field(
        default=True,
        description="Whether residual streams that norms read are rotated, with the gains of these norms "
        "folded, besides the units inside heads.",
    )

    def products(self, networks: int) -> float:
        return ROTATED_SWEEPS

    def assignments(self, networks: int) -> float:
        return ROTATED_SWEEPS


class FrankWolfe(Options):
    steps: Whole = Field(default=100, gt=0, description="The most steps of an ascent.")
    restarts: Whole = Field(
        default=1,
        gt=0,
        description="The number of ascents; all but the first begin at random permutations, and the one that "
        "reaches the best objective is kept.",
    )

    @property
    def steps_taken(self) -> int:
        return self.restarts * min(self.steps, ASCENDED)

    def products(self, networks: int) -> float:
        return 2 * AROUND * self.assignments(networks)  # the gradient, and points of a line

    def assignments(self, networks: int) -> float:
        return self.steps_taken * (1 if networks == 2 else networks)


class SinkhornRebasin(Trained):
    loss: Literal["l2", "midpoint", "random"] = Field(
        default="midpoint",
        description="What is trained: the squared distance of the weights (`l2`), or the loss at the "
        "midpoint of the two networks or at a random point between them.",
    )
    batch_size: Whole = Field(
        default=1000, gt=0, description="The number of training examples in a step, without augmentation."
    )
    learning_rate: Number = Field(default=0.1, gt=0, description="The learning rate of AdamW.")
    tau: Number = Field(
        default=1.0,
        gt=0,
        description="The temperature: the lower, the closer a relaxed permutation is to a permutation.",
    )

    @property
    def trained_examples(self) -> int:
        return 0 if self.loss == "l2" else super().trained_examples

    def products(self, networks: int) -> float:
        return AROUND * self.steps

    def assignments(self, networks: int) -> float:
        return 1 + RELAXED * self.steps


class StraightThrough(Trained):
    point: Literal["centre", "random"] = Field(
        default="centre",
        description="Where the loss is trained: at the centre of the networks, or at a random point between "
        "them.",
    )
    learning_rate: Number = Field(default=0.001, gt=0, description="The learning rate of Adam.")

    def products(self, networks: int) -> float:
        return self.assignments(networks)

    def assignments(self, networks: int) -> float:
        """An ascent for the first step; after each further one a sweep finds little to change."""
        return (networks - 1) * (SWEEPS + self.steps)


class Learned(Trained):
    steps: Whole = Field(
        default=200, ge=0, description="The number of steps that train relaxed permutations; 0 for none."
    )
    examples: Whole = Field(
        default=2000,
        gt=1,
        description="The number of training examples; a fifth of them is held out, and decides which "
        "permutations are kept.",
    )
    learning_rate: Number = Field(
        default=0.3, gt=0, description="The learning rate of Adam, which falls to zero."
    )
    temperature: Number = Field(
        default=0.2,
        gt=0,
        description="How soft relaxed permutations are at the start: the logits of units that are matched "
        "there are 1 / temperature, and all others zero.",
    )
    rounds: Whole = Field(
        default=50,
        ge=0,
        description="The most rounds of swaps of units after the steps; 0 for none. They end sooner when no "
        "swap lowers the loss.",
    )
    candidates: Whole = Field(default=256, gt=0, description="The number of swaps that a round tries.")
    noise: Number = Field(
        default=0.5,
        ge=0,
        description="The standard deviation of the Gaussian noise that is added to the images, as a multiple "
        "of theirs.",
    )

    @property
    def trained_examples(self) -> int:
        """The steps, and the rounds of swaps that are usual."""
        rounds = min(self.rounds, ROUNDS) * (self.examples + self.candidates * CANDIDATE)
        return super().trained_examples + rounds

    @property
    def steps_taken(self) -> int:
        return self.steps + ROUND * min(self.rounds, ROUNDS)

    def products(self, networks: int) -> float:
        return _sweeps(networks) + AROUND * self.steps * (networks - 1)

    def assignments(self, networks: int) -> float:
        return _sweeps(networks) + RELAXED * self.steps * (networks - 1)
