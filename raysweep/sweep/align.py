"""The section `align` of a sweep file: how permutations are found."""

from pydantic import Field

from raysweep.sweep.fields import Device, Strict, Whole
from raysweep.vocabulary import Kernel, Method, Order, Similarity, Tensor


class WeightMatching(Strict):
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
        description="The number of ascents for each pair; the one that reaches the best objective is kept.",
    )


class ActivationMatching(Strict):
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


class Align(Strict):
    """How networks are aligned; the options of each method bear its name.

    The columns of the table `alignments` that have the names of these keys take their types and meanings from
    here.
    """

    methods: list[Method] = Field(
        min_length=1,
        default=[Method.WEIGHT_MATCHING],
        description="The methods that find permutations. Weight matching is that of Ainsworth et al. 2023 "
        "and maximises the inner product of all weights.",
    )
    weight_matching: WeightMatching = WeightMatching()
    activation_matching: ActivationMatching = ActivationMatching()
    seed: Whole = Field(default=0, ge=0, description="The seed of random orders and restarts.")
    threads: Whole = Field(default=1, gt=0, description="The threads of an align worker.")
    device: Device = Field(
        default="cpu",
        description="The device on which similarities are computed; `cuda` requires `resources.align.gpu`. "
        "Assignments are always solved on the CPU, so with `cuda` a worker computes as many alignments at a "
        "time as it has CPUs (`resources.align.cpu`).",
    )
