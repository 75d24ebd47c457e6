"""How a process computes: threads, determinism and memory, set before its first job."""

import ctypes
import os

import torch

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of malloc.h
KEPT, LARGE = 2**28, 2**25  # bytes: free at the top of the heap; of a tensor that lies outside of it


def make_deterministic(threads: int) -> None:
    """Use so many threads, deterministic algorithms, and float32 products without TF32."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def keep_freed_memory() -> None:
    """Have glibc's malloc keep freed tensors of up to 32 MB for the next ones, up to 256 MB of them.

    It would give them back, and the kernel clear the pages of each next one: a quarter of the time of a
    barrier of ResNet-20, and up to half of that of its training. Other C libraries are left alone.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(M_MMAP_THRESHOLD, LARGE)
        mallopt(M_TRIM_THRESHOLD, KEPT)


def end_if_cuda_is_broken() -> None:
    """End the process where CUDA answers every call with an error: another process can go on.

    After a failed assertion on the device, an illegal access or an error of the hardware all later calls of
    a process fail too. It would fail whatever it is given, quicker than sound ones do their work.
    """
    if torch.cuda.is_initialized():
        try:
            torch.cuda.synchronize()
        except RuntimeError:
            os._exit(1)
