"""Workers of the pool that say what they do."""

import json
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar
from unittest import mock

from raysweep.cluster.pool_worker import PoolWorker
from raysweep.store.files import Files
from raysweep.sweep.schema import Sections
from raysweep.work.tile import Tile


def notes_of(root: str) -> Path:
    """Where the workers of a root write what they did."""
    return Path(f"{root}.notes")


class CountedFiles(Files):
    """Counts what this process reads, and how long it reads and writes."""

    counts: ClassVar = {"loads": 0, "bytes": 0, "files": 0.0}

    def get(self, name: str) -> bytes:
        with _timed():
            content = super().get(name)
        self.counts["bytes"] += len(content)
        self.counts["loads"] += name.endswith(".safetensors")
        return content

    def put(self, name: str, content: bytes = b"") -> None:
        with _timed():
            super().put(name, content)


@contextmanager
def _timed() -> Iterator[None]:
    began = time.perf_counter()
    yield
    CountedFiles.counts["files"] += time.perf_counter() - began


class WatchedWorker(PoolWorker):
    """A real worker that notes what each tile cost."""

    def __init__(self, root: str, sections: Sections) -> None:
        self._notes = Notes(root)
        super().__init__(root, sections)

    def run_pickled(self, tile: bytes) -> tuple[str, float]:
        with mock.patch("raysweep.work.tile.Files", CountedFiles):  # with the first tile it opens the root
            return super().run_pickled(tile)

    def run(self, tile: Tile) -> tuple[str, float]:
        with self._notes.of(tile):
            return super().run(tile)


class Notes:
    """A file with a line for each tile of this process."""

    def __init__(self, root: str) -> None:
        self._path = notes_of(root) / str(os.getpid())

    @contextmanager
    def of(self, tile: Tile) -> Iterator[None]:
        """Note what happens within the context."""
        began, processor, before = time.monotonic(), time.process_time(), dict(CountedFiles.counts)
        yield
        found = {name: count - before[name] for name, count in CountedFiles.counts.items()}
        found |= {"stage": tile.stage, "jobs": len(tile.jobs), "began": began, "ended": time.monotonic()}
        found |= {"processor": time.process_time() - processor}
        found |= {"peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}
        with self._path.open("a") as file:
            file.write(json.dumps(found) + "\n")
