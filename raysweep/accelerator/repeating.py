"""Work that is repeated many times: on a GPU by a recording, where that changes no bit."""

import torch

from raysweep.accelerator.capture import Captured, Snapshot, Work
from raysweep.accelerator.compiling import first_that_works


def repeated(what: str, work: Work, written: list[torch.Tensor], device: torch.device) -> Work:
    """Return what does `work` each time that it is called; nothing has been done before the first time.

    `work` reads and writes tensors that stay where they are; `written` are all that it writes to. On a GPU it
    is a CUDA graph, if a replay of it writes the bits that the work itself does. If not, or where the work
    cannot be recorded, it is the work itself, and the log says why, with the words `what` for the work.
    Raises what the work raises.
    """
    if device.type == "cpu":
        return work
    ways = {"captured": lambda: _captured(work, written, device), "plain": lambda: work}
    return first_that_works(what, ways)[1]


def _captured(work: Work, written: list[torch.Tensor], device: torch.device) -> Work:
    before = Snapshot(written)
    try:
        work()
        plain = Snapshot(written)
        before.restore()
        replay = Captured(work, device)
        before.restore()
        replay()
        if not Snapshot(written).equals(plain):
            raise RuntimeError("a replay has other bits than the work itself")
    finally:
        before.restore()
    return replay
