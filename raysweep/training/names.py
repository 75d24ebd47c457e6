"""Names that a sweep file may use; free of torch, so that checking a file is quick."""

SCHEDULES = ("constant", "milestones", "cosine", "one_cycle")
OPTIMISERS = ("sgd", "adamw")
PRECISIONS = ("float32", "bfloat16")
