"""What a plan will cost: operations, bytes, and the hours of processors and GPUs."""
