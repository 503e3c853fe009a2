"""Detects that a lone model seems to expect another pixel range."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.data import ImageData
    from zoo.evaluation.trained import TrainedModel
    from zoo.reporter import Reporter


def tell_pixels(model: TrainedModel, data: ImageData, split: str, pixels: str | None, reporter: Reporter) -> None:
    """Adds a note if a model predicts at chance level for raw pixels and significantly better for another pixel range.

    Args:
        model: Model of a lone file.
        data: Labelled photos.
        split: The split that is used.
        pixels: The pixel range that the user gave. If it is given, nothing is checked.
        reporter: Receives the note.
    """
    from zoo.foreign.pixels import PIXELS, fitting_pixels

    if pixels is not None or not model.lone:
        return
    reporter.stage("Checking which pixel range the model expects")
    found = fitting_pixels(model.load(), data, split)
    if found is not None:
        reporter.note(
            f"{model.name} predicts at chance level for raw pixels, 0..255. Your model seems to expect {found}: "
            f"{PIXELS[found]}. Give --pixels {found}, or add such a layer as its first layer and save it again."
        )
