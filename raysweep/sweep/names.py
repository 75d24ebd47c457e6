"""Names of methods that a sweep file may use; free of torch, so that checking a file is quick."""

METHODS = ("weight_matching",)
ORDERS = ("random", "forward", "backward")

SCOPES = ("global", "layer")
BRANCHES = ("random", "one_shot", "reinitialise", "transport")
PERMUTATIONS = ("none", "dense", "level")
