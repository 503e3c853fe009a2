"""Saying that a lone model seems to expect other pixels than it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.data import ImageData
    from zoo.evaluation.trained import TrainedModel
    from zoo.reporter import Reporter


def tell_pixels(model: TrainedModel, data: ImageData, split: str, pixels: str | None, reporter: Reporter) -> None:
    """A note where a model predicts at chance for raw pixels, and significantly better for others.

    Args:
        model: Of a lone file.
        data: Labelled photos.
        split: Which of them.
        pixels: What the user says that it expects; whoever says so is not told.
        reporter: Is told.
    """
    from zoo.foreign.pixels import PIXELS, fitting_pixels

    if pixels is not None or not model.lone:
        return
    reporter.stage("Checking which pixels the model expects")
    found = fitting_pixels(model.load(), data, split)
    if found is not None:
        reporter.note(
            f"{model.name} predicts at chance for raw pixels, 0..255. Your model seems to expect {found}: "
            f"{PIXELS[found]}. Give --pixels {found}, or put such a layer in front of it and save it again."
        )
