"""Recurrent layers: the gates of a layer are runs of its rows, in which the units are permuted alike."""

from collections.abc import Sequence
from typing import Any

import torch

from raysweep.symmetry.axes import Axis, still
from raysweep.symmetry.groups import Groups
from raysweep.symmetry.traced import NotUnderstoodError, Stacked, Traced, fix_all

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
CELLS = {f"{name}_cell": gates for name, gates in GATES.items()}


class Recurrent:
    """What a layer of so many gates does; it is called as torch calls its own (`torch.lstm` and the like)."""

    def __init__(self, gates: int) -> None:
        self._gates = gates

    def __call__(
        self,
        groups: Groups,
        result: Sequence[torch.Tensor],
        input: Traced,
        states: Any,
        weights: Sequence[Traced],
        has_biases: bool,
        layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
        batch_first: bool = False,
    ) -> list[Any]:
        """Return the axes of the output, and of the last states, of which each layer has its own units."""
        if not isinstance(has_biases, bool):
            raise NotUnderstoodError("is given packed sequences")
        fix_all(groups, input.axes[1:2] if batch_first else input.axes[:1])  # of time
        directions, each = 1 + bidirectional, 2 + 2 * has_biases
        if len(weights) != layers * directions * each:
            raise NotUnderstoodError("has a projection")
        units = input.axes[-1]
        lasts: list[Axis] = []
        for layer in range(layers):
            found = []
            for direction in range(directions):
                at = (layer * directions + direction) * each
                found.append(_layer(groups, self._gates, units, weights[at : at + each]))
            lasts += found
            units = tuple(segment for axis in found for segment in axis)
        for state in states if isinstance(states, Sequence) else (states,):
            self._begin(groups, state, lasts)
        values: list[Any] = [(*input.axes[:-1], units)]
        for state in result[1:]:
            axes = (*map(still, state.shape[:-1]), lasts[0])
            values.append(Stacked(state, axes, tuple(lasts)))
        return values

    @staticmethod
    def _begin(groups: Groups, state: Traced, lasts: Sequence[Axis]) -> None:
        """Tie the units of the states from which the layers begin to those of the layers."""
        fix_all(groups, state.axes[:1])
        if isinstance(state, Stacked):
            for one, other in zip(state.units, lasts, strict=True):
                groups.merge(one, other)
            return
        if groups.are_copies(state.axes[-1]):
            return  # zeros, in which every order is the same
        for units in lasts:
            groups.merge(state.axes[-1], units)


class Cell:
    """What one step of a layer of so many gates does (`torch.lstm_cell` and the like)."""

    def __init__(self, gates: int) -> None:
        self._gates = gates

    def __call__(
        self, groups: Groups, result: Any, input: Traced, states: Any, *weights: Traced | None
    ) -> Any:
        """Return the axes of the new states, which are those of the old ones."""
        given = [each for each in weights if each is not None]
        units = _layer(groups, self._gates, input.axes[-1], given)
        for state in states if isinstance(states, Sequence) else (states,):
            groups.merge(state.axes[-1], units)
        value = (*input.axes[:-1], units)
        return value if isinstance(result, torch.Tensor) else [value] * len(result)


def _layer(groups: Groups, gates: int, incoming: Axis, weights: Sequence[Traced]) -> Axis:
    """Tie the axes of the weights of one layer and direction; return the axis of its units."""
    inputs, recurrent, *biases = weights
    units = recurrent.axes[1]
    groups.merge(inputs.axes[1], incoming)
    for each in (inputs, recurrent, *biases):
        groups.merge(each.axes[0], units * gates)
    return units
