"""Checks whether the evidence is in a photo that was pasted onto a landscape, and how a randomised network changes it.

    python benchmarks/pointing_game.py shared/data

This is the pointing game (Zhang et al. 2016) on composed photos: ImageNet photos are reduced to half their size and
pasted at random positions of landscapes. The class is the one that MobileNetV2 predicts for the photo alone. After
that, the evidence is correlated with that of the same network with random weights (Adebayo et al. 2018).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import zoo_mobilenetv2

from zoo.edge.explain import Found
from zoo.edge.explanation import Explanation
from zoo.evaluation.trained import pretrained
from zoo.explain import Explainer
from zoo.image_spec import ImageSpec
from zoo.images import load_image

WHOLE, SIDE, BATCH = ImageSpec(), 112, 10


def found_in(explainer: Explainer, images: list[Any], places: list[Any]) -> list[Found]:
    starts = range(0, len(images), BATCH)
    batches = (
        explainer.find_all(np.stack(images[start : start + BATCH]), places[start : start + BATCH]) for start in starts
    )
    return [item for batch in batches for item in batch]


def main() -> None:
    folder = Path(sys.argv[1])
    (architecture,) = zoo_mobilenetv2.zoo_architectures()
    model = pretrained(architecture, architecture.weights[0]).load()
    explainer = Explainer(model, "mobilenetv2")
    backgrounds = sorted((folder / "ccby_coarse" / "scenery").glob("*.jpg"))
    photos = sorted((folder / "nips17_sample").rglob("*.png"))[::2]
    random = np.random.default_rng(0)
    images, corners = [], []
    for place, photo in enumerate(photos):
        image = load_image(backgrounds[place % len(backgrounds)], WHOLE)
        left, top = random.integers(0, WHOLE.width_px - SIDE, 2).tolist()
        small = load_image(photo, ImageSpec(height_px=SIDE, width_px=SIDE))
        image[top : top + SIDE, left : left + SIDE] = small
        images.append(image)
        corners.append((left, top))
    alone = found_in(explainer, [load_image(photo, WHOLE) for photo in photos], [None] * len(photos))
    places = [[item.place] for item in alone]
    found = found_in(explainer, images, places)
    hits = sum(points_into(item, image, *corner) for item, image, corner in zip(found, images, corners, strict=True))
    for weight in model.weights:
        if not weight.path.endswith("moving_variance"):
            weight.assign(random.normal(0, 1 / np.sqrt(max(1, np.prod(weight.shape[:-1]))), weight.shape))
    other = found_in(Explainer(model, "randomised"), images, places)
    pairs = [(one.evidence.ravel(), two.evidence.ravel()) for one, two in zip(found, other, strict=True)]
    similar = [np.corrcoef(one, two)[0, 1] for one, two in pairs if two.std() > 0]
    print(f"the strongest evidence lies in the pasted photo in {hits} of {len(photos)}")
    print(f"correlation with the evidence of a randomised network: {np.mean(similar):.3f} on {len(similar)} photos")


def points_into(item: Found, image: Any, left: int, top: int) -> bool:
    explanation = Explanation(
        file="",
        label="",
        probability=item.probability,
        evidence=item.evidence,
        method=item.method,
        photo=image,
        size=image.shape[:2],
        image=WHOLE,
    )
    x, y = explanation.peak or (-1.0, -1.0)
    return bool(left <= x < left + SIDE and top <= y < top + SIDE)


if __name__ == "__main__":
    main()
