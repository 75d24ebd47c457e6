"""Small transformers and recurrent networks, written as their authors write them."""

import torch
from torch import nn
from torch.nn import functional

TOKENS, WORDS = 5, 11


class Attention(nn.Module):
    """As in timm: one projection for queries, keys and values."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        attention = (q * (width // self.heads) ** -0.5 @ k.transpose(-2, -1)).softmax(dim=-1)
        return self.proj((attention @ v).transpose(1, 2).reshape(batch, tokens, width))


class Block(nn.Module):
    """A block of a vision transformer, with the norm first."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attn = Attention(width, heads)
        self.fc1, self.fc2 = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attn(self.norm1(x))
        return x + self.fc2(functional.gelu(self.fc1(self.norm2(x))))


class VisionTransformer(nn.Module):
    """Patches, a class token, learned positions, and blocks as in timm."""

    def __init__(self, width: int = 12, heads: int = 3, depth: int = 2) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(torch.zeros(1, TOKENS, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 4)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = self.patches(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.positions
        return self.head(self.norm(self.blocks(x))[:, 0])


class CausalAttention(nn.Module):
    """As in GPT-2: a split projection, and a mask."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.register_buffer("bias", torch.tril(torch.ones(TOKENS, TOKENS)).view(1, 1, TOKENS, TOKENS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.size()
        q, k, v = self.c_attn(x).split(width, dim=2)
        q, k, v = (each.view(batch, tokens, self.heads, -1).transpose(1, 2) for each in (q, k, v))
        scores = (q @ k.transpose(-2, -1)) * (1.0 / k.size(-1) ** 0.5)
        scores = scores.masked_fill(self.bias[:, :, :tokens, :tokens] == 0, float("-inf"))
        y = functional.softmax(scores, dim=-1) @ v
        return self.c_proj(y.transpose(1, 2).contiguous().view(batch, tokens, width))


class Gpt(nn.Module):
    """A decoder like GPT-2: learned positions, GELU, and an output that is tied to the embedding."""

    def __init__(self, width: int = 12, heads: int = 3, depth: int = 2) -> None:
        super().__init__()
        self.wte, self.wpe = nn.Embedding(WORDS, width), nn.Embedding(TOKENS, width)
        self.attentions = nn.ModuleList(CausalAttention(width, heads) for _ in range(depth))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2 * depth))
        self.up = nn.ModuleList(nn.Linear(width, 2 * width) for _ in range(depth))
        self.down = nn.ModuleList(nn.Linear(2 * width, width) for _ in range(depth))
        self.ln_f, self.head = nn.LayerNorm(width), nn.Linear(width, WORDS, bias=False)
        self.head.weight = self.wte.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1], device=tokens.device))
        for number, attention in enumerate(self.attentions):
            x = x + attention(self.norms[2 * number](x))
            x = x + self.down[number](functional.gelu(self.up[number](self.norms[2 * number + 1](x))))
        return self.head(self.ln_f(x))


def rotated(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary positions, as in Llama."""
    half = x.shape[-1] // 2
    return x * cos + torch.cat([-x[..., half:], x[..., :half]], dim=-1) * sin


class Llama(nn.Module):
    """A decoder like Llama: RMSNorm, rotary positions, grouped queries and SwiGLU."""

    def __init__(self, width: int = 16, heads: int = 4, groups: int = 2) -> None:
        super().__init__()
        self.heads, self.groups, size = heads, groups, width // heads
        self.embedding, self.head = nn.Embedding(WORDS, width), nn.Linear(width, WORDS, bias=False)
        self.norms = nn.ModuleList(nn.RMSNorm(width) for _ in range(3))
        self.q, self.o = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.k = nn.Linear(width, groups * size, bias=False)
        self.v = nn.Linear(width, groups * size, bias=False)
        self.gate, self.up = nn.Linear(width, 24, bias=False), nn.Linear(width, 24, bias=False)
        self.down = nn.Linear(24, width, bias=False)
        frequencies = 1.0 / 100 ** (torch.arange(0, size, 2) / size)
        angles = torch.outer(torch.arange(TOKENS), torch.cat([frequencies, frequencies]))
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def repeated(self, x: torch.Tensor) -> torch.Tensor:
        """Repeat the heads of keys and values for the queries of their group."""
        batch, heads, tokens, size = x.shape
        times = self.heads // self.groups
        return x[:, :, None].expand(batch, heads, times, tokens, size).reshape(batch, -1, tokens, size)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        batch, length, width = x.shape
        hidden = self.norms[0](x)
        q, k, v = (
            each(hidden).view(batch, length, -1, 4).transpose(1, 2) for each in (self.q, self.k, self.v)
        )
        q, k = rotated(q, self.cos, self.sin), rotated(k, self.cos, self.sin)
        y = functional.scaled_dot_product_attention(q, self.repeated(k), self.repeated(v), is_causal=True)
        x = x + self.o(y.transpose(1, 2).reshape(batch, length, width))
        hidden = self.norms[1](x)
        x = x + self.down(functional.silu(self.gate(hidden)) * self.up(hidden))
        return self.head(self.norms[2](x))


class GroupedQueries(nn.Module):
    """Attention without rotary positions in which several heads of queries share one of keys and values.

    `how` says how the shared heads are repeated. One projection for all has its rows split, as in GPTBigCode.
    """

    def __init__(self, how: str, width: int = 12, heads: int = 4, groups: int = 2, size: int = 3) -> None:
        super().__init__()
        self.how, self.heads, self.groups, self.size = how, heads, groups, size
        self.first, self.o, self.last = (
            nn.Linear(4, width),
            nn.Linear(heads * size, width),
            nn.Linear(width, 3),
        )
        self.qkv = nn.Linear(width, (heads + 2 * groups) * size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        sizes = [count * self.size for count in (self.heads, self.groups, self.groups)]
        q, k, v = (each.unflatten(-1, (-1, self.size)) for each in self.qkv(x).split(sizes, dim=-1))
        y = getattr(self, self.how)(q, k, v)
        return self.last(x + self.o(y.flatten(2)))

    def expand(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """As Meta's Llama, before tokens and heads change places."""
        times = self.heads // self.groups
        k, v = (each[:, :, :, None].expand(-1, -1, -1, times, -1).flatten(2, 3) for each in (k, v))
        q, k, v = (each.transpose(1, 2) for each in (q, k, v))
        return ((q @ k.transpose(2, 3)).softmax(-1) @ v).transpose(1, 2)

    def repeat_interleave(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        q, k, v = (each.transpose(1, 2) for each in (q, k, v))
        k, v = (each.repeat_interleave(self.heads // self.groups, dim=1) for each in (k, v))
        return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2)

    def enable_gqa(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        q, k, v = (each.transpose(1, 2) for each in (q, k, v))
        return functional.scaled_dot_product_attention(q, k, v, enable_gqa=True).transpose(1, 2)


class Recurrent(nn.Module):
    """A recurrent layer that reads vectors, and a classifier of its last output or its last state."""

    def __init__(self, kind: type[nn.RNNBase], *, by_state: bool = False, **options: object) -> None:
        super().__init__()
        self.by_state = by_state
        self.first = nn.Linear(4, 7)
        self.rnn = kind(7, 6, batch_first=True, **options)
        self.last = nn.Linear(6 * (1 + bool(options.get("bidirectional"))), 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output, state = self.rnn(self.first(x))
        if self.by_state:
            return self.last((state[0] if isinstance(state, tuple) else state)[-1])
        return self.last(output.mean(dim=1))
