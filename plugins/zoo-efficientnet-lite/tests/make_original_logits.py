"""Writes ``original_logits.tsv``: the logits of the PyTorch port, which the tests compare with those of Keras.

    python make_original_logits.py DATA > original_logits.tsv

DATA contains ``nips17_sample`` and ``weights``. The script needs PyTorch, Pillow and ``pip install
efficientnet-lite-pytorch==0.1.0``, which no test needs. Each row contains the index of the highest logit and the logits
of every hundredth class.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from original_photos import cropped, rows

SIZES_PX = {"lite0": 224, "lite1": 240, "lite2": 260}
EVERY_PHOTO, EVERY_CLASS = 10, 100


def main(data: Path) -> None:
    table = csv.writer(sys.stdout, delimiter="\t", lineterminator="\n")
    table.writerow(["architecture", "file", "top1", *range(0, 1000, EVERY_CLASS)])
    for name, size_px in SIZES_PX.items():
        network = EfficientNet.from_name(f"efficientnet-{name}")
        with np.load(data / "weights" / f"efficientnet_{name}_imagenet.npz") as arrays:
            state = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
        # The counters that only training needs are not in the file.
        state = {key: state.get(key, value) for key, value in network.state_dict().items()}
        network.load_state_dict(state)
        network.eval()
        for row in rows(data)[::EVERY_PHOTO]:
            pixels = torch.from_numpy(cropped(data / "nips17_sample" / row["file"], size_px))
            with torch.no_grad():
                logits = network(((pixels - 127) / 128).permute(2, 0, 1)[None])[0].numpy()
            shown = [f"{value:.5f}" for value in logits[::EVERY_CLASS]]
            table.writerow([f"efficientnet_{name}", row["file"], int(logits.argmax()), *shown])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
