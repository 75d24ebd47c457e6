"""Made-up results, and a store that counts."""

from collections import Counter

from raysweep.store.files import Files
from raysweep.store.results import ResultStore

POINTS = {"pair": 3, "simplex": 6}


class CountingFiles(Files):
    """Counts what is read and written, by name."""

    def __init__(self, root):
        super().__init__(root)
        self.reads, self.writes = Counter(), Counter()

    def get(self, name):
        self.reads[name] += 1
        return super().get(name)

    def put(self, name, content):
        self.writes[name] += 1
        return super().put(name, content)


def barrier_rows(barrier_id, value=0.5, interpolation="pair", splits=("train", "test")):
    points = POINTS[interpolation]
    return [
        {
            "barrier_id": barrier_id,
            "split": split,
            **{f"{risk}_{what}": value for risk in ("loss", "error") for what in ("barrier", "centre")},
            "loss_weights": [0.5, 0.5],
            "error_weights": [0.25, 0.75],
            "curve_weights": [[place / points, 1 - place / points] for place in range(points)],
            "curve_loss": [value + place for place in range(points)],
            "curve_error": [value] * points,
            "seconds": 1.0,
            **{name: name for name in ("hardware", "software", "execution", "provenance")},
            "inputs": None,
        }
        for split in splits
    ]


def commit_barriers(files, jobs, name, value=0.5):
    """Commit the made-up rows of these barriers as one object."""
    rows = [row for job in jobs for row in barrier_rows(job.barrier_id, value, job.comparison.interpolation)]
    return ResultStore(files).commit("barriers", name, rows)
