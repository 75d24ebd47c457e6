"""scikit-learn's handwritten digits: 1,797 images of 8 x 8 pixels with values 0 to 16."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from raysweep.data.arrays import Arrays

TEST_EXAMPLES = 400
CLASSES = 10


def files() -> list[Path]:
    """Return the file that `load` reads; it comes with scikit-learn, whose import takes a second."""
    spec = find_spec("sklearn")
    assert spec
    assert spec.origin
    return [Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"]


def load(split_seed: int) -> Arrays:
    """Return 1,397 training and 400 test images, split by a permutation seeded with `split_seed`."""
    (path,) = files()
    table = np.loadtxt(path, dtype=np.uint8, delimiter=",")  # rows: 64 pixels and the label
    images = table[:, :-1].reshape(-1, 8, 8)[:, None]  # the strides of this axis decide how torch convolves
    labels = table[:, -1].astype(np.int64)
    order = np.random.Generator(np.random.PCG64(split_seed)).permutation(len(images))
    test, train = order[:TEST_EXAMPLES], order[TEST_EXAMPLES:]
    return Arrays(images[train], labels[train], images[test], labels[test], CLASSES)
