"""The valid names of choices about inputs; free of torch, so that plans are quick."""

DATASETS = ("digits", "mnist", "fashion_mnist", "cifar10", "cifar100", "svhn")
OWN_SPLITS = ("digits",)  # they come without a test set, so that raysweep draws one
SCALINGS = ("unit", "standardise")
AUGMENTATIONS = ("none", "flip_crop")
