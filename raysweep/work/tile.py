"""Align and compare the networks of one tile; every job's numbers are independent of its tile."""

import time
from dataclasses import dataclass, field

from raysweep.digest import digest
from raysweep.plan.identity import AlignmentJob, BarrierJob, Trial
from raysweep.plan.permutations import KEPT_BYTES, CommittedPermutations
from raysweep.store.files import Files
from raysweep.store.node_cache import NodeCache, cache_folder
from raysweep.store.results import ResultStore
from raysweep.store.trials import TrialStore
from raysweep.sweep.schema import Sections
from raysweep.version import check_code
from raysweep.work.aligning import Aligner
from raysweep.work.comparing import compare_job
from raysweep.work.device import end_if_cuda_is_broken, keep_freed_memory, repeatable
from raysweep.work.networks import Networks
from raysweep.work.unit_values import UnitValues


@dataclass(frozen=True)
class Tile:
    """Jobs of one kind with the trials they touch and, by alignment, the objects where they lie."""

    jobs: tuple[AlignmentJob | BarrierJob, ...]
    trials: dict[str, Trial]
    objects: dict[str, str] = field(default_factory=dict)

    @property
    def what(self) -> str:
        return "alignment" if isinstance(self.jobs[0], AlignmentJob) else "barrier"

    @property
    def stage(self) -> str:
        """What a progress bar calls it."""
        return f"{self.what}s"

    @property
    def ids(self) -> list[str]:
        return [u.alignment_id if isinstance(u, AlignmentJob) else u.barrier_id for u in self.jobs]


class TileWorker:
    """Computes tiles against a store; keeps data, states and endpoint risks between tiles."""

    def __init__(self, root: str, sections: Sections, code: str) -> None:
        """`code` is the digest of the driver's code; raises `CodeDiffers` where this process runs another."""
        check_code(code)
        files = Files(root)
        self._results, self._compare = ResultStore(files), sections.compare
        limit = sections.resources.cache_mb * 1_000_000
        values = limit // 2 if "activation_matching" in sections.align.methods else 0
        store = TrialStore(files, _node_cache(files, sections))
        self._networks = Networks(store, sections, limit - values)
        self._permutations = CommittedPermutations(self._results, KEPT_BYTES)
        recorded = UnitValues(sections.align.activation_matching, values)
        self._aligner = Aligner(sections.align, self._networks, recorded)
        repeatable(sections.align.threads)
        keep_freed_memory()

    def run(self, tile: Tile) -> tuple[str, float]:
        """Compute all jobs and commit them as one object; returns its name and the seconds that it took."""
        began = time.perf_counter()
        try:
            return self._commit(tile), time.perf_counter() - began
        except Exception:
            end_if_cuda_is_broken()
            raise

    def _commit(self, tile: Tile) -> str:
        aligning = [job for job in tile.jobs if isinstance(job, AlignmentJob)]
        rows = self._aligner.rows(aligning, tile.trials)
        for job in tile.jobs:
            if isinstance(job, BarrierJob):
                rows += compare_job(
                    job, tile.trials, tile.objects, self._compare, self._networks, self._permutations
                )
        # A barrier's id leaves out the splits: another sweep's rows of the same barriers lie elsewhere.
        splits = sorted(self._compare.splits) if tile.what == "barrier" else []
        return self._results.commit(tile.stage, digest([sorted(tile.ids), splits]), rows)


def _node_cache(files: Files, sections: Sections) -> NodeCache | None:
    """A cache for roots in object storage; a directory is as near as the cache would be."""
    limit = sections.resources.disk_cache_mb * 1_000_000
    return NodeCache(cache_folder(), limit) if limit and files.directory is None else None
