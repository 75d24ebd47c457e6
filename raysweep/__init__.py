"""raysweep: linear connectivity of neural networks modulo permutation, at scale."""

__version__ = "0.1.0"
