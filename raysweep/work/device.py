"""How a process computes: threads and determinism, set before its first unit of work."""

import os

import torch


def repeatable(threads: int) -> None:
    """Use so many threads, deterministic algorithms, and float32 products without TF32."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
