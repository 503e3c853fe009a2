"""The end of a model: its last layer with weights, and its logits."""

from __future__ import annotations

import numpy as np

from zoo.exporting.fold import LINEAR
from zoo.exporting.graph import Call, Graph


def trained_calls(graph: Graph) -> list[Call]:
    """Convolutions and dense layers whose weights are not shared."""
    return [call for call in graph.calls if isinstance(call.operation, LINEAR) and graph.called_once(call)]


def find_ending(graph: Graph) -> tuple[Call, Call]:
    """The last layer with weights, and the call that computes the logits: this layer, or the sum of which it is a term.

    If there are several last layers, as in a head that adds the scores of several depths, the one with the most weights
    is returned.
    """
    trained = trained_calls(graph)
    followed: set[Call] = set()
    for call in reversed(graph.calls):
        if any(user in followed or user in trained for user in call.users):
            followed.add(call)
    ends = [call for call in trained if call not in followed]
    sums = {end.only_user for end in ends}
    last = max(ends, key=lambda call: int(np.prod(call.operation.kernel.shape)))
    together = sums.pop() if len(ends) > 1 and len(sums) == 1 else None
    return last, together or last
