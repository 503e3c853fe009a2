"""Creates ``imagenet.npz`` from torchvision's weights.

    python -m zoo_mobilenetv2.convert_weights SOURCE.npz TARGET.npz

SOURCE contains the arrays of torchvision's ``mobilenet_v2-b0353104.pth`` (IMAGENET1K_V1, BSD-3-Clause) with the names
of its state dict. The written bytes depend only on the source. Their SHA-256 is printed, and must be entered in
``weights.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from zoo.weights import read_weights, write_weights

Array = np.ndarray[Any, np.dtype[Any]]

_NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
_BLOCKS = 17


def convert(source: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays of the Keras model by ``layer/variable``, with unchanged values and type."""
    target: dict[str, Array] = {}
    for layer, conv, norm in _layers():
        kernel = source[f"{conv}.weight"]
        # From (out, in, height, width) to (height, width, in, out); depthwise from (out, 1, ..) to (.., out, 1).
        axes = (2, 3, 0, 1) if layer.endswith("depthwise") else (2, 3, 1, 0)
        target[f"{layer}/kernel"] = kernel.transpose(axes)
        for theirs, ours in _NORM.items():
            target[f"{layer}_bn/{ours}"] = source[f"{norm}.{theirs}"]
    target["probabilities/kernel"] = source["classifier.1.weight"].T
    target["probabilities/bias"] = source["classifier.1.bias"]
    return target


def _layers() -> Iterator[tuple[str, str, str]]:
    """The name of each layer, and the names of its convolution and of the normalisation after it in torchvision."""
    yield "stem", "features.0.0", "features.0.1"
    for block in range(1, _BLOCKS + 1):
        conv = f"features.{block}.conv"
        activated = ["depthwise"] if block == 1 else ["expand", "depthwise"]
        for position, part in enumerate(activated):
            yield f"block_{block:02d}_{part}", f"{conv}.{position}.0", f"{conv}.{position}.1"
        last = len(activated)
        yield f"block_{block:02d}_project", f"{conv}.{last}", f"{conv}.{last + 1}"
    yield "top", f"features.{_BLOCKS + 1}.0", f"features.{_BLOCKS + 1}.1"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print(write_weights(Path(sys.argv[2]), convert(read_weights(Path(sys.argv[1])))))
