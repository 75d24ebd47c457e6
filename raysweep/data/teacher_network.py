"""Random vectors labelled by a random network: a control in which the best student is known."""

from itertools import pairwise

import numpy as np

from raysweep.data.arrays import Arrays
from raysweep.digest import seed_for


def load(
    examples: int = 2000,
    test_examples: int = 1000,
    features: int = 20,
    classes: int = 10,
    width: int = 16,
    depth: int = 1,
    seed: int = 0,
) -> Arrays:
    """Draw vectors (features,) from a Gaussian; a label is the largest answer of the teacher.

    The teacher has `depth` hidden layers of `width` units with ReLU. Its weights have the variance 2 / (units
    of the layer before), and it has no biases. Its answers are centred over the training examples, so that no
    class is favoured.
    """
    generator = np.random.Generator(np.random.PCG64(seed_for("teacher network", seed)))
    sizes = [features, *[width] * depth, classes]
    weights = [generator.standard_normal(size) * np.sqrt(2 / size[0]) for size in pairwise(sizes)]
    inputs = generator.standard_normal((examples + test_examples, features)).astype(np.float32)
    hidden = inputs.astype(np.float64)
    for weight in weights[:-1]:
        hidden = np.maximum(hidden @ weight, 0)
    answers = hidden @ weights[-1]
    labels = (answers - answers[:examples].mean(axis=0)).argmax(axis=1)
    return Arrays(inputs[:examples], labels[:examples], inputs[examples:], labels[examples:], classes)
