"""How work runs on a device: compilation, capture in CUDA graphs, streams, and what is recorded of them."""
