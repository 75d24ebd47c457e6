"""Names that a sweep file may use; free of torch, so that checking a file is quick."""

MODELS = ("mlp",)
NORMS = ("none", "layer")
INITS = ("kaiming_normal", "pytorch")
