"""Objects under a root: backends, checkpoints, committed results and their index, locks and caches."""
