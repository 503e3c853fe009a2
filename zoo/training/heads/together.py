"""The head that host 1 has chosen, for all hosts of a training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.training.heads.choose import ChosenHead
from zoo.training.heads.linear import LinearHead
from zoo.training.hosts import Hosts


@dataclass(frozen=True)
class HeadToAttach:
    """What is needed to attach a head to a model.

    Args:
        head: The head on unscaled features.
        used: ``(d,)``, the features that it uses.
    """

    head: LinearHead
    used: NDArray[np.bool_]


def head_of_first(hosts: Hosts | None, chosen: ChosenHead | None) -> HeadToAttach:
    """The head that host 1 has chosen.

    Args:
        hosts: The hosts. ``None``: one process.
        chosen: The chosen head on host 1, ``None`` on the others.
    """
    if hosts is None:
        assert chosen is not None
        return HeadToAttach(chosen.head, chosen.used)
    given = [chosen.head.kernel, chosen.head.bias, chosen.used] if chosen else []
    kernel, bias, used = hosts.arrays_of_first("chosen head", given)
    return HeadToAttach(LinearHead(kernel, bias), used)
