"""Names that a sweep file may use, kept free of torch so that a sweep file is checked quickly."""

SCHEDULES = ("constant", "milestones", "cosine", "one_cycle")
OPTIMISERS = ("sgd", "adamw")
PRECISIONS = ("float32", "bfloat16")
