"""Blocks of transformers with the norm first (Vaswani et al. 2017; Radford et al. 2019)."""

import torch
from torch import nn
from torch.nn import functional

from raysweep.models.norms import unit_norm

HEAD = 8  # units that each head has at least
EMBEDDED = 0.02  # standard deviation of embeddings at the start, as in GPT-2 and ViT


def heads_of(width: int) -> int:
    """Return the number of heads: as many as divide the width and leave each at least `HEAD` units.

    Widths that are multiples of 8 have width / 8 heads of 8 units, so that heads grow in number and not in
    size.
    """
    return max([1, *(heads for heads in range(1, width // HEAD + 1) if width % heads == 0)])


def embedding(*shape: int) -> nn.Parameter:
    """Return vectors that are added to or stand for inputs; small, whatever `train.init` gives the layers."""
    return nn.Parameter(torch.randn(shape) * EMBEDDED)


class TokenNorm(nn.Module):
    """Normalises the units of (batch, tokens, units), each token by itself."""

    def __init__(self, norm: str, units: int) -> None:
        super().__init__()
        self.norm = unit_norm(norm, units)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normalised: torch.Tensor = self.norm(x.flatten(0, 1))
        return normalised.view(x.shape)


class Attention(nn.Module):
    """Attention of `heads_of(width)` heads; `causal` lets a token read itself and those before it alone.

    Written in products and a softmax, which have the same bits in every run on a GPU.
    """

    def __init__(self, width: int, causal: bool) -> None:
        super().__init__()
        self.heads, self.causal = heads_of(width), causal
        self.query, self.value, self.out = (nn.Linear(width, width) for _ in range(3))
        self.key = nn.Linear(width, width, bias=False)  # it would add the same to all scores of a token

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = (self._by_head(layer(x)) for layer in (self.query, self.key, self.value))
        scores = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5
        if self.causal:
            later = torch.ones(scores.shape[2:], dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(later, float("-inf"))
        read = scores.softmax(3) @ value
        out: torch.Tensor = self.out(read.transpose(1, 2).flatten(2))
        return out

    def _by_head(self, x: torch.Tensor) -> torch.Tensor:
        """Return (batch, heads, tokens, units of a head) of (batch, tokens, units)."""
        heads: torch.Tensor = x.unflatten(2, (self.heads, -1))
        return heads.transpose(1, 2)


class Block(nn.Module):
    """Attention, then `4 width` units with GELU for each token; both are added to the residual stream."""

    def __init__(self, width: int, norm: str, causal: bool) -> None:
        super().__init__()
        self.norm1, self.attention = TokenNorm(norm, width), Attention(width, causal)
        self.norm2 = TokenNorm(norm, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        out: torch.Tensor = x + self.down(functional.gelu(self.up(self.norm2(x))))
        return out
