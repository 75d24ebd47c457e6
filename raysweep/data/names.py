"""Names that a sweep file may use for its data, kept free of torch so that plans are made quickly."""

DATASETS = ("digits", "mnist", "fashion_mnist", "cifar10", "cifar100", "svhn")
OWN_SPLITS = ("digits",)  # datasets without an official test set, for which raysweep draws one
SCALINGS = ("unit", "standardise")
AUGMENTATIONS = ("none", "flip_crop")
