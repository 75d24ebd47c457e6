"""Names that a sweep file may use; free of torch."""

SCOPES = ("global", "layer")
BRANCHES = ("random", "one_shot", "reinitialise", "transport")
PERMUTATIONS = ("none", "dense", "level")
