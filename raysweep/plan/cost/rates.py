"""How long a GPU takes for a training step and for an evaluation, and how fast a core is.

The time of a network is a constant, which its number of layers determines, and a part that grows with its
products (multiplications of a weight with an activation for one example). Both follow from two widths of a
VGG-16 and of a ResNet-20 that were measured on a GPU.
"""

from dataclasses import dataclass

from raysweep.choices import choose
from raysweep.errors import UserError
from raysweep.models.registry import RESNET, VGG, model_entry
from raysweep.plan.probes import ModelSize
from raysweep.vocabulary import Precision

BATCH = 128  # examples of the measured steps
EVALUATED = 10_000  # examples of the measured evaluations
PRODUCTS = {  # at the widths 16 and 64, with LayerNorm, on images of 3 x 32 x 32
    VGG: (19_907_840, 313_201_664),
    RESNET: (40_813_184, 647_694_848),
}


@dataclass(frozen=True)
class Rates:
    """Milliseconds at the widths 16 and 64: of a step per network, and of the evaluation of 10,000 images.

    `plain` are those of an evaluation that is neither compiled nor captured.
    """

    step: tuple[float, float]
    evaluation: tuple[float, float]
    plain: tuple[float, float]


# NVIDIA H100, torch 2.11 (`python -m tests.benchmarks accelerator`). Training in bfloat16: channels last,
# compiled and captured, eight networks at a time. In float32, without TF32: one network at a time.
# Evaluations are compiled and captured. Plain ones were not measured in float32: they take at least as long
# as others, and as in bfloat16.
MEASURED: dict[str, dict[Precision, dict[str, Rates]]] = {
    "h100": {
        Precision.BFLOAT16: {
            VGG: Rates(step=(0.44, 1.31), evaluation=(6.5, 22.8), plain=(63, 106)),
            RESNET: Rates(step=(1.41, 3.07), evaluation=(18.2, 55.1), plain=(192, 308)),
        },
        Precision.FLOAT32: {
            VGG: Rates(step=(3.3, 12.2), evaluation=(45, 450), plain=(63, 450)),
            RESNET: Rates(step=(8.2, 28.8), evaluation=(142, 388), plain=(192, 388)),
        },
    },
}
DEFAULT = "h100"
# Operations a second of products of float32 matrices; not measured, but half of what is said of the card.
PRODUCTS_A_SECOND = {"h100": 3e13}

# One core of an AMD EPYC (tests/benchmarks/README.md): MLPs train at 30 to 70 and evaluate at 170 billion
# operations a second, convolutions do both at 120 to 140, and weight matching multiplies at 125.
TRAINING_CORE, CORE = 6e10, 1.3e11  # operations a second
CALL = 4.5e-5  # seconds of each call of a training step, by which small networks are bound
# Narrow networks are bound by what norms, nonlinearities and pooling read and write. Seconds for each value
# of a training step, and of a pass, on a core of an Intel Xeon at 2.5 GHz. With the rates above they give the
# times of VGG-16, ResNet-20 and LeNets of widths 2 to 32 there within a factor of two, for steps of width 2
# of three.
TRAINED_VALUE, VALUE = 8e-9, 5e-9
ALIGNMENT, ALIGNMENT_STEP = 5e-3, 6e-3  # seconds of the calls of an alignment, and of each of its steps
ASSIGNMENT = 4e-8  # seconds for each entry of a matrix that is assigned: MLPs of widths 32, 128 and 512


def check_gpu(gpu: str) -> None:
    """Raise `UserError` for a GPU of which no rates were measured."""
    if gpu not in MEASURED:
        raise UserError(f"--gpu {gpu}: no rates of this GPU were measured; valid: {', '.join(MEASURED)}")


def measured_like(model: str) -> str:
    """Return the measured network that stands for a model; for networks of a user the slower one does."""
    return model_entry(model).like


def step_seconds(gpu: str, model: str, precision: str, products: float, batch: float) -> float:
    """Return the time (s) of a training step of one network with a number of products, on a batch."""
    rates = _rates(gpu, model, precision)
    return _at(rates.step, PRODUCTS[measured_like(model)], products * batch / BATCH) / 1000


def evaluation_seconds(gpu: str, model: str, precision: str, products: float, examples: float) -> float:
    """Return the time (s) in which a network with a number of products is evaluated on some examples."""
    rates = _rates(gpu, model, precision)
    whole = _at(rates.evaluation, PRODUCTS[measured_like(model)], products)
    return whole * examples / EVALUATED / 1000


def plain_seconds(gpu: str, model: str, precision: str, products: float, examples: float) -> float:
    """Return the time (s) of an evaluation that is neither compiled nor captured, as measures need."""
    whole = _at(_rates(gpu, model, precision).plain, PRODUCTS[measured_like(model)], products)
    return whole * examples / EVALUATED / 1000


def core_step_seconds(size: ModelSize, batch: float) -> float:
    """Return the time (s) of a training step on one core, on a batch."""
    return size.calls * CALL + batch * (6.0 * size.products / TRAINING_CORE + size.values * TRAINED_VALUE)


def core_seconds(size: ModelSize, examples: float) -> float:
    """Return the time (s) in which some examples pass a network on one core."""
    return examples * (2.0 * size.products / CORE + size.values * VALUE)


def _rates(gpu: str, model: str, precision: str) -> Rates:
    by_precision = MEASURED[gpu]
    tf32 = by_precision[Precision.FLOAT32]  # not measured; float32 takes longer
    return choose("precision", precision, {**by_precision, Precision.TF32: tf32})[measured_like(model)]


def _at(times: tuple[float, float], measured: tuple[int, int], products: float) -> float:
    slope = (times[1] - times[0]) / (measured[1] - measured[0])
    return times[0] + slope * (products - measured[0])
