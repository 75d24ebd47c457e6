"""Several jobs at a time in one process."""

from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

import torch

Job = TypeVar("Job")
Result = TypeVar("Result")


class AtOnce:
    """Carries out jobs in threads, each of which submits work to a CUDA stream of its own.

    While one job solves an assignment on the CPU, which releases the interpreter's lock, another one computes
    on the GPU. No job waits for the stream of another.
    """

    def __init__(self, count: int, threads: int) -> None:
        """Carry out at most `count` jobs at a time, each with this number of torch's threads."""
        self._pool = ThreadPoolExecutor(count, initializer=_begin, initargs=(threads,)) if count > 1 else None

    def each(self, work: Callable[[Job], Result], jobs: Iterable[Job]) -> list[Result]:
        """Return the results in the order of the jobs.

        Raises what the first failing job raises, once no other job is running; the rest is not begun.
        """
        if not self._pool:
            return list(map(work, jobs))
        futures = [self._pool.submit(work, job) for job in jobs]
        wait(futures, return_when=FIRST_EXCEPTION)
        begun = [future for future in futures if not future.cancel()]
        wait(begun)
        return [future.result() for future in begun]


def _begin(threads: int) -> None:
    """Prepare a thread: the number of torch's threads and the current stream belong to the thread."""
    torch.set_num_threads(threads)
    if torch.cuda.is_available():
        torch.cuda.set_stream(torch.cuda.Stream())
