"""Names of methods that a sweep file may use; free of torch, so that checking a file is quick."""

METHODS = ("weight_matching", "activation_matching")
BY_WEIGHTS = ("weight_matching",)  # those that can also stack, embed, and align networks of two tasks
KINDS = ("unaligned", "direct", "via", "joint", "composed")  # of barriers of a group's networks
ACROSS = ("widths", "tasks")
TENSORS = ("first", "last", "all")
SIMILARITIES = ("inner_product", "correlation", "cosine")
KERNELS = ("linear", "cosine")
ORDERS = ("random", "forward", "backward")
HYBRIDS = ("bottom_up", "top_down", "one_in", "one_out")

SCOPES = ("global", "layer")
BRANCHES = ("random", "one_shot", "reinitialise", "transport")
PERMUTATIONS = ("none", "dense", "level")

ANALYSES = (  # modules of `analysis/`
    "joint",
    "means",
    "narrow_in_wide",
    "pruning",
    "tasks",
    "trajectory",
    "transitivity",
    "transport",
    "triangle",
    "weak",
    "width_scaling",
)
