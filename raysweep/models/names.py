"""Names that a sweep file may use; free of torch, so that checking a file is quick."""

MODELS = ("mlp", "lenet", "vgg11", "vgg16", "resnet20", "resnet32")
DEPTH_MODELS = ("mlp",)  # the models that read `depth`; that of all others is part of their name
NORMS = ("none", "layer", "batch")
RUNNING_STATISTICS = {"none": False, "layer": False, "batch": True}  # whether a norm keeps them
INITS = ("kaiming_normal", "pytorch", "own")
