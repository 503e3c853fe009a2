"""Converts the fitted model to other formats and verifies it, with the functions of ``zoo export``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
from numpy.typing import NDArray

from zoo.data import TEST
from zoo.evaluation.trained import TrainedModel, model_digest
from zoo.exported import Metadata
from zoo.exporting.fold import fold
from zoo.exporting.quantize import quantize
from zoo.interfaces import Exporter
from zoo.machine import versions
from zoo.parity import Gates, Verification, default_gates, keras_predictions, verify

if TYPE_CHECKING:
    from zoo.testing.subject import Subject

#: One photo is 3 % of all, and the model was trained for seconds, so one changed prediction is not significant.
INT8_GATES = Gates(min_agreement=0.95, max_accuracy_drop=0.05)


@dataclass
class ExportedFiles:
    """Files of the fitted model, each converted once.

    Args:
        subject: The subject whose model is converted.
    """

    subject: Subject

    def __post_init__(self) -> None:
        self.path = cache(self._convert)

    @cached_property
    def reference(self) -> TrainedModel:
        """The fitted model."""
        return self.reference_for(self.subject.fitted.model)

    def reference_for(self, model: keras.Model) -> TrainedModel:
        """A model with the labels and the image specification of the drawn photos."""
        name = self.subject.architecture.name
        return TrainedModel(
            name=f"{name} (one batch)",
            architecture=name,
            labels=self.subject.photos.labels,
            image=self.subject.image,
            load=lambda: model,
        )

    @cached_property
    def expected(self) -> NDArray[np.float32]:
        """The predictions of Keras on the photos, float32 ``(32, 4)``."""
        return keras_predictions(self.reference, self.subject.photos, TEST)

    def verify(self, exporter: Exporter, precision: str) -> Verification:
        """Compares the predictions of a file and of Keras on the same photos.

        Raises:
            ExportError: The file could not be made or read.
        """
        gates = INT8_GATES if precision == "int8" else default_gates(precision)
        path = self.path(exporter, precision)
        return verify(exporter, path, self.reference, self.subject.photos, TEST, gates, expected=self.expected)

    def metadata(self, model: keras.Model, precision: str) -> Metadata:
        return Metadata(
            labels=self.subject.photos.labels,
            image=self.subject.image,
            precision=precision,
            architecture=self.subject.architecture.name,
            source="conformance check",
            model_digest=model_digest(model),
            versions=versions(),
        )

    @cached_property
    def _folded(self) -> keras.Model:
        return fold(self.subject.fitted.model)

    @cached_property
    def _quantized(self) -> keras.Model:
        fitted = self.subject.fitted
        return quantize(fold(fitted.model), fitted.pixels, INT8_GATES.min_agreement or 0.0).model

    def _convert(self, exporter: Exporter, precision: str) -> Path:
        path = self.subject.folder("exported") / f"{exporter.name}_{precision}{exporter.suffix}"
        exporter.convert(self._quantized if precision == "int8" else self._folded, path, precision)
        exporter.write_metadata(path, self.metadata(self.subject.fitted.model, precision))
        return path

    def claim(self, exporter: Exporter, path: Path, model: keras.Model) -> Path:
        """A copy of a file, in a new folder. Its metadata contains the digest of another model."""
        folder = self.subject.folder("claims")
        for file in exporter.files(path):
            (folder / file.name).write_bytes(file.read_bytes())
        copy = folder / path.name
        said = exporter.read_metadata(path)
        assert said is not None
        exporter.write_metadata(copy, replace(said, model_digest=model_digest(model)))
        return copy
