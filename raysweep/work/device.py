"""How a process computes: its threads, determinism and memory, to be set before its first job."""

import ctypes
import os

import torch

from raysweep.choices import choose
from raysweep.models.registry import model_entry
from raysweep.vocabulary import WAYS, Way

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # as in malloc.h
KEPT = 2**28  # bytes of free memory that the heap keeps
LARGE = 2**25  # bytes from which on a tensor is allocated outside the heap


def make_deterministic(threads: int) -> None:
    """Use this number of threads, deterministic algorithms, and no TF32 in products of float32."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    # As `torch.use_deterministic_algorithms` does it, which imports the compiler: that takes two seconds.
    torch.set_deterministic_debug_mode("error")
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def ways_on(device: str, compile: str, model: str) -> tuple[Way, ...]:
    """Return the ways in which a model may be run on a device (cpu or cuda), the best first.

    `compile` is the key of `train` or `compare`, which only a GPU reads. A model that does not convolve
    is not compiled. Raises `ValueError` for another name.
    """
    allowed = choose("compile", compile, WAYS)
    if device == "cpu":
        return WAYS["off"]
    return tuple(way for way in allowed if way != Way.COMPILED or model_entry(model).convolutional)


def keep_freed_memory() -> None:
    """Make glibc's malloc reuse the memory of freed tensors of up to 32 MB, and keep up to 256 MB of it.

    By default it returns this memory, and the kernel must clear the pages of each new tensor. That took a
    quarter of the time of a barrier of ResNet-20, and up to half of the time of its training. Other C
    libraries are not changed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(M_MMAP_THRESHOLD, LARGE)
        mallopt(M_TRIM_THRESHOLD, KEPT)


def free_memory(device: str) -> int:
    """Return how many bytes of memory of a GPU no process holds; 0 for the CPU, whose memory is not counted.

    This process first gives back what it no longer uses, for which it waits for the device.
    """
    if device != "cuda":
        return 0
    torch.cuda.empty_cache()
    return torch.cuda.mem_get_info()[0]


def end_if_cuda_is_broken() -> None:
    """End this process when every CUDA call fails, so that another process continues its work.

    After a failed assertion on the device, an illegal access or a hardware error, all later CUDA calls of a
    process fail too. Such a process would fail job after job, faster than healthy ones complete them.
    """
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        try:
            torch.cuda.synchronize()
        except RuntimeError:
            os._exit(1)
