"""The valid names of choices about inputs; free of torch, so that plans are quick."""

SCALINGS = ("unit", "standardise")
AUGMENTATIONS = ("none", "flip_crop")
