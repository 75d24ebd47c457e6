"""Random weights on which the properties of a network are tested: at initialisation outputs may be zero."""

import torch


def randomise(tensor: torch.Tensor, generator: torch.Generator) -> None:
    """Fill a parameter or buffer, in place, so that activations are of order one at any depth.

    Vectors are uniform in (0.2, 1.8): variances stay valid, and biases keep units alive that ReLU would
    silence. All other tensors are uniform about zero with variance 1 / fan_in. Complex numbers are pairs of
    real ones.
    """
    if tensor.is_complex():
        randomise(torch.view_as_real(tensor), generator)
    elif tensor.dim() < 2:
        tensor.uniform_(0.2, 1.8, generator=generator)
    else:
        bound = (3 / max(1, tensor[0].numel())) ** 0.5
        tensor.uniform_(-bound, bound, generator=generator)
