"""Loads a lone model file for prediction."""

from __future__ import annotations

import re
from pathlib import Path

from zoo.errors import unknown_name
from zoo.evaluation.trained import TrainedModel
from zoo.foreign.adapt import adapt
from zoo.foreign.pixels import PIXELS, RAW
from zoo.foreign.read import read_model
from zoo.image_spec import ImageSpec


def of_file(path: Path, labels: tuple[str, ...], pixels: str | None = None) -> TrainedModel:
    """Loads a ``.keras`` file without a run, adapted to raw pixels. Images are resized to its input size by ``squash``.

    Args:
        path: Path of the file.
        labels: Class names in the order of its outputs.
        pixels: The pixel range that it expects, one of ``PIXELS``. ``None``: raw pixels.

    Raises:
        UsageError: The file cannot be read, or is not an image classifier.
    """
    if pixels is not None and pixels not in PIXELS:
        raise unknown_name("range of pixels", pixels, PIXELS)
    adapted = adapt(read_model(path), labels, str(path), pixels or RAW)
    _, height_px, width_px, _ = adapted.model.inputs[0].shape
    return TrainedModel(
        name=path.name,
        architecture=re.sub(r"[^a-z0-9_]+", "_", path.stem.lower()) or "model",
        labels=labels,
        image=ImageSpec(height_px=height_px, width_px=width_px),
        load=lambda: adapted.model,
        notes=adapted.notes,
        lone=True,
    )
