"""Training with explicit seeds, without Ray and without a disk: optimiser, schedule, loop and evaluation."""
