"""Work on tensors that stay where they are, recorded once in a CUDA graph and repeated with one launch."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from threading import Lock

import torch

_ONE_AT_A_TIME = Lock()  # of a process's threads: waiting for the device ends a recording that is under way
WARM_UPS = 3  # runs before a capture: compilation, and the workspaces that libraries allocate at first

Work = Callable[[], None]


class Captured:
    """Repeats `work`, which reads and writes tensors that stay where they are.

    On a CUDA device the work is run a few times, recorded in a graph with memory of its own, and replayed on
    the current stream. The caller restores what these first runs have written. On the CPU the work is run
    once, so that tests exercise the same restoring, and then called as it is.

    Raises what `work` raises, and `RuntimeError` for work that cannot be recorded because it waits for the
    device.
    """

    def __init__(self, work: Work, device: torch.device) -> None:
        self._repeat = work
        if device.type != "cuda":
            work()
            return
        with _ONE_AT_A_TIME:
            # The work is let go: its owner may own this, and such a cycle would keep a GPU's memory.
            self._repeat = _recorded(work, device).replay

    def __call__(self) -> None:
        self._repeat()


def _recorded(work: Work, device: torch.device) -> torch.cuda.CUDAGraph:
    torch.cuda.synchronize(device)
    stream = torch.cuda.Stream(device)
    with torch.cuda.stream(stream):
        for _ in range(WARM_UPS):
            work()
    torch.cuda.synchronize(device)
    graph = torch.cuda.CUDAGraph()
    # Work of other threads of the process does not disturb the recording.
    with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
        work()
    torch.cuda.synchronize(device)
    return graph


def new_stream(device: torch.device) -> torch.cuda.Stream | None:
    """Return a stream of its own on a CUDA device, and None elsewhere."""
    return torch.cuda.Stream(device) if device.type == "cuda" else None


def on(stream: torch.cuda.Stream | None) -> AbstractContextManager[object]:
    """Within the context work is queued on the stream; None changes nothing."""
    return nullcontext() if stream is None else torch.cuda.stream(stream)


def send(values: torch.Tensor, to: torch.Tensor) -> None:
    """Copy values from the host to the first rows of a tensor, without waiting for the device."""
    rows = to[: len(values)]
    rows.copy_(values.pin_memory() if to.is_cuda else values, non_blocking=True)


class Snapshot:
    """Copies of tensors, which `restore` writes back into them."""

    def __init__(self, tensors: list[torch.Tensor]) -> None:
        self._tensors = tensors
        self._copies = [tensor.detach().clone() for tensor in tensors]

    @torch.no_grad()
    def restore(self) -> None:
        for tensor, copy in zip(self._tensors, self._copies, strict=True):
            tensor.copy_(copy)

    def equals(self, other: "Snapshot") -> bool:
        """Whether two snapshots of the same tensors have the same bits (NaN equals NaN)."""
        pairs = zip(self._copies, other._copies, strict=True)
        return all(torch.equal(_bits(one), _bits(two)) for one, two in pairs)


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.reshape(-1).view(torch.uint8)
