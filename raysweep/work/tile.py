"""Aligns and compares the networks of one tile; no number depends on how jobs are grouped into tiles."""

import copyreg
import time
from dataclasses import dataclass, field, fields
from operator import attrgetter
from typing import Any

from raysweep.digest import digest
from raysweep.plan.applied_permutations import FoundPermutation
from raysweep.plan.identity import AlignmentJob, BarrierJob, Comparison, Network, Trial
from raysweep.plan.permutations import KEPT_BYTES, CommittedPermutations
from raysweep.store.files import Files
from raysweep.store.inputs import permutation_digest
from raysweep.store.node_cache import NodeCache, cache_folder
from raysweep.store.provenance import write_provenance
from raysweep.store.results import ResultStore
from raysweep.store.resume_points import ResumePoints
from raysweep.store.trials import TrialStore
from raysweep.sweep.schema import Sections
from raysweep.version import Driver, check_code, driver
from raysweep.work.aligning import Aligner
from raysweep.work.comparing import compare_job
from raysweep.work.device import end_if_cuda_is_broken, keep_freed_memory, make_deterministic
from raysweep.work.networks import Networks
from raysweep.work.provenance import provenance
from raysweep.work.resuming import Resuming
from raysweep.work.unit_values import UnitValues

Row = dict[str, Any]


def _pickle_quickly(kind: type) -> None:
    """Have a dataclass with slots pickled in a quarter of the time that Python's own way takes."""
    values = attrgetter(*(each.name for each in fields(kind)))
    copyreg.pickle(kind, lambda each: (kind, values(each)))


for _kind in (AlignmentJob, BarrierJob, Comparison, FoundPermutation, Network):  # most of a pickled tile
    _pickle_quickly(_kind)


@dataclass(frozen=True)
class Tile:
    """Jobs of one type, the trials that they use, and their alignments' object names by alignment id.

    `driver` is the process that hands it out.
    """

    jobs: tuple[AlignmentJob | BarrierJob, ...]
    trials: dict[str, Trial]
    objects: dict[str, str] = field(default_factory=dict)
    driver: Driver = field(default_factory=driver)

    @property
    def what(self) -> str:
        return "alignment" if isinstance(self.jobs[0], AlignmentJob) else "barrier"

    @property
    def stage(self) -> str:
        """The stage of a run to which the tile belongs, as progress bars show it."""
        return f"{self.what}s"

    @property
    def ids(self) -> list[str]:
        return [job.alignment_id if isinstance(job, AlignmentJob) else job.barrier_id for job in self.jobs]


class TileWorker:
    """Computes tiles, and keeps data sets, states and the risks of networks between them."""

    def __init__(self, root: str, sections: Sections) -> None:
        """Open the root."""
        self._files = files = Files(root)
        self._known: dict[tuple[str, Driver], dict[str, str]] = {}
        self._results, self._align, self._compare = ResultStore(files), sections.align, sections.compare
        limit = sections.resources.cache_mb * 1_000_000
        values = limit // 2 if "activation_matching" in sections.align.methods else 0
        store = TrialStore(files, _node_cache(files, sections))
        self._networks = Networks(store, sections, limit - values)
        self._permutations = CommittedPermutations(self._results, KEPT_BYTES)
        unit_values = UnitValues(sections.align.activation_matching, values)
        points = ResumePoints(files)
        self._resuming = Resuming(points, sections.resources.resume_seconds, sections.align.device)
        at_once = sections.alignments_at_once
        self._aligner = Aligner(sections.align, self._networks, unit_values, self._resuming, at_once)
        make_deterministic(sections.align.threads)
        keep_freed_memory()

    def run(self, tile: Tile) -> tuple[str, float]:
        """Compute all jobs, commit their rows, and return the name of their object and the seconds taken.

        What is measured of barriers lies in an object of its own, which is written before that of the risks.
        Raises `CodeDiffers` unless this process runs the driver's code.
        """
        began = time.perf_counter()
        check_code(tile.driver.code)
        try:
            return self._commit(tile), time.perf_counter() - began
        except Exception:
            end_if_cuda_is_broken()
            raise

    def _commit(self, tile: Tile) -> str:
        replaced = -1
        while replaced != self._networks.replaced:  # else rows were computed from two trainings of a network
            replaced, rows = self._networks.replaced, self._rows(tile)
        comparing = [job for job in tile.jobs if isinstance(job, BarrierJob)]
        computed = self._computed(self._compare.device if comparing else self._align.device, tile.driver)
        ids = {
            "measures": [each.measure_id for job in comparing for each in job.measurements],
            "alignments": tile.ids,
            "barriers": [job.barrier_id for job in comparing if job.risks],
        }
        # The id of a barrier does not include the splits, which another sweep may choose differently.
        splits = sorted(self._compare.splits) if comparing else []
        names = [
            self._results.commit(kind, digest([sorted(ids[kind]), splits]), [row | computed for row in found])
            for kind, found in sorted(rows.items(), reverse=True)
        ]
        self._resuming.drop(ids["alignments"])
        return names[-1]

    def _rows(self, tile: Tile) -> dict[str, list[Row]]:
        """Return the rows of all jobs by the kind of result, with what they were computed from."""
        rows: dict[str, list[Row]] = {}
        aligning = {job.alignment_id: job for job in tile.jobs if isinstance(job, AlignmentJob)}
        for row in self._aligner.rows(list(aligning.values()), tile.trials):
            inputs = self._networks.inputs(aligning[row["alignment_id"]].networks)
            row |= {"inputs": inputs, "digest": permutation_digest(row)}
            rows.setdefault("alignments", []).append(row)
        for job in tile.jobs:
            if isinstance(job, BarrierJob):
                found = list(
                    compare_job(
                        job, tile.trials, tile.objects, self._compare, self._networks, self._permutations
                    )
                )
                inputs = self._networks.inputs(dict.fromkeys(job.networks))
                inputs += self._permutations.inputs(job.comparison.alignments, tile.objects)
                for kind, row in found:
                    rows.setdefault(kind, []).append(row | {"inputs": inputs})
        return rows

    def _computed(self, device: str, driver: Driver) -> dict[str, str]:
        """Return the columns that say what computes a tile; what they refer to is stored at the first one."""
        if (device, driver) not in self._known:
            facts = provenance(device, driver)
            columns = {name: facts[name] for name in ("hardware", "software")}
            self._known[device, driver] = columns | {"provenance": write_provenance(self._files, facts)}
        return self._known[device, driver]


def _node_cache(files: Files, sections: Sections) -> NodeCache | None:
    """Return a cache for a root in object storage; reading a directory is as fast as reading the cache."""
    limit = sections.resources.disk_cache_mb * 1_000_000
    return NodeCache(cache_folder(), limit) if limit and files.directory is None else None
