"""Attention of several heads, written out in operations whose symmetries are known."""

from typing import Any

import torch
from torch.nn import functional


def multi_head_attention(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: torch.Tensor | None,
    in_proj_bias: torch.Tensor | None,
    bias_k: torch.Tensor | None,
    bias_v: torch.Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: torch.Tensor,
    out_proj_bias: torch.Tensor | None,
    training: bool = True,
    key_padding_mask: torch.Tensor | None = None,
    need_weights: bool = True,
    attn_mask: torch.Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: torch.Tensor | None = None,
    k_proj_weight: torch.Tensor | None = None,
    v_proj_weight: torch.Tensor | None = None,
    static_k: torch.Tensor | None = None,
    static_v: torch.Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Do what `torch.nn.functional.multi_head_attention_forward` does, in evaluation mode.

    Queries, keys and values are (tokens, batch, units) or (tokens, units). They are projected with the batch
    first, so that each unit has values by which networks can be compared. Raises `NotImplementedError` for
    keys and values that are given or added besides those of the tokens.
    """
    if any(each is not None for each in (bias_k, bias_v, static_k, static_v)) or add_zero_attn:
        raise NotImplementedError("attention to keys and values that do not belong to tokens")
    batched = query.dim() == 3
    if not batched:
        query, key, value = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
        key_padding_mask = None if key_padding_mask is None else key_padding_mask.unsqueeze(0)
    if use_separate_proj_weight:
        weights: tuple[Any, ...] = (q_proj_weight, k_proj_weight, v_proj_weight)
    else:
        assert in_proj_weight is not None
        weights = in_proj_weight.chunk(3)
    biases = (None, None, None) if in_proj_bias is None else in_proj_bias.chunk(3)
    q, k, v = (
        _heads(functional.linear(each.transpose(0, 1), weight, bias), num_heads)
        for each, weight, bias in zip((query, key, value), weights, biases, strict=True)
    )
    scores = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5
    mask = _mask(scores, attn_mask, key_padding_mask, is_causal)
    attention = functional.softmax(scores if mask is None else scores + mask, dim=-1)
    mixed = (attention @ v).transpose(1, 2)
    output = functional.linear(mixed.flatten(2), out_proj_weight, out_proj_bias).transpose(0, 1)
    shown = (attention.mean(dim=1) if average_attn_weights else attention) if need_weights else None
    if batched:
        return output, shown
    return output.squeeze(1), None if shown is None else shown.squeeze(0)


def _heads(projected: torch.Tensor, heads: int) -> torch.Tensor:
    """Return (batch, tokens, units) as (batch, heads, tokens, units of a head)."""
    return projected.reshape(*projected.shape[:2], heads, -1).transpose(1, 2)


def _mask(
    scores: torch.Tensor,
    attn_mask: torch.Tensor | None,
    key_padding_mask: torch.Tensor | None,
    is_causal: bool,
) -> torch.Tensor | None:
    """Return what is added to the scores (batch, heads, tokens, keys)."""
    found = None
    if attn_mask is not None:
        found = _additive(attn_mask, scores)
        if found.dim() == 3:
            found = found.reshape(scores.shape[0], -1, *found.shape[1:])
    elif is_causal:
        found = torch.full(scores.shape[-2:], float("-inf"), dtype=scores.dtype).triu(1)
    if key_padding_mask is not None:
        padded = _additive(key_padding_mask, scores)[:, None, None]
        found = padded if found is None else found + padded
    return found


def _additive(mask: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=scores.dtype).masked_fill(mask, float("-inf"))
