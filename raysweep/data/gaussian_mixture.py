"""A mixture of Gaussians, one for each class: a control whose difficulty is known."""

import numpy as np

from raysweep.data.arrays import Arrays
from raysweep.digest import seed_for


def load(
    examples: int = 2000,
    test_examples: int = 1000,
    features: int = 20,
    classes: int = 10,
    distance: float = 4.0,
    seed: int = 0,
) -> Arrays:
    """Draw vectors (features,) with unit variance around the point of their class.

    The points are drawn from a Gaussian, so that any two are at a distance of about `distance` standard
    deviations. Classes have equal shares of the examples.
    """
    generator = np.random.Generator(np.random.PCG64(seed_for("gaussian mixture", seed)))
    points = generator.standard_normal((classes, features)) * (distance / np.sqrt(2 * features))

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = generator.permutation(np.arange(count, dtype=np.int64) % classes)
        noise = generator.standard_normal((count, features))
        return (points[labels] + noise).astype(np.float32), labels

    return Arrays(*draw(examples), *draw(test_examples), classes)
