"""A decoder like GPT-2 (Radford et al. 2019) for short sequences."""

import torch
from torch import nn
from torch.nn import functional

from raysweep.errors import UserError
from raysweep.models.transformer import EMBEDDED, Block, TokenNorm, embedding


class Gpt(nn.Module):
    """`depth` causal blocks with a residual stream of `width` units, and learned positions.

    It maps tokens (batch, length), whole numbers from 0 to `classes` - 1 in any type, to the logits of the
    token that follows each, (batch, length, classes). The embedding of tokens is also that of the output.
    Raises `UserError` for inputs that are no sequences.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, width: int, depth: int, norm: str) -> None:
        super().__init__()
        if len(shape) != 1:
            raise UserError(f"gpt needs sequences of tokens (length,), not inputs of shape {shape}")
        self.positions = embedding(*shape, width)
        self.blocks = nn.Sequential(*(Block(width, norm, causal=True) for _ in range(depth)))
        self.norm = TokenNorm(norm, width)
        self.tokens = nn.Embedding(classes, width)  # the last layer
        nn.init.normal_(self.tokens.weight, std=EMBEDDED)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        # The remainder matters where symmetries are proved: there, inputs are random numbers.
        tokens = tokens.long().remainder(self.tokens.num_embeddings)
        read = self.blocks(self.tokens(tokens) + self.positions)
        logits: torch.Tensor = functional.linear(self.norm(read), self.tokens.weight)
        return logits
