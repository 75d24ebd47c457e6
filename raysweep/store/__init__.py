"""Where things live: layout, checkpoints, committed results, tables."""
