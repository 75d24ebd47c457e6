"""Training with explicit seeds: `schedule`, `loop`, `evaluation`."""
