"""An exporter under test: a small model, and the files that it makes of it."""

from __future__ import annotations

import shutil
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import keras
import numpy as np
from keras import layers
from numpy.typing import NDArray

from zoo.errors import ExportError
from zoo.evaluation.predict import predict_inputs
from zoo.evaluation.trained import TrainedModel, model_digest
from zoo.exported import Metadata
from zoo.exporting.fold import fold
from zoo.exporting.quantize import quantize
from zoo.image_spec import ImageSpec
from zoo.interfaces import Exporter
from zoo.machine import versions
from zoo.testing.result import CheckError, one_line
from zoo.testing.workspace import Workspace

#: Labels with everything that a format may lose: other scripts, commas, blanks, line ends, invalid UTF-8.
LABELS = ("Füße", "a, b", "サッカー\n🏉", " ", "\udce9t\udce9")

IMAGE = ImageSpec(height_px=32, width_px=32, resize="crop")


class ExporterSubject(Workspace):
    """An exporter under test, and what its checks share."""

    @property
    def exporter(self) -> Exporter:
        record: Exporter = self.record
        return record

    @cached_property
    def model(self) -> keras.Model:
        """Convolutions of all kinds, a residual, pooling and a softmax over five classes; every weight matters."""
        keras.utils.set_random_seed(0)
        image = layers.Input(IMAGE.input_shape, name="image")
        x = layers.Rescaling([1 / 58, 1 / 57, 1 / 57.5], [-2.1, -2.0, -1.8])(image)
        x = layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False)(x)
        x = shortcut = layers.ReLU(6.0)(layers.BatchNormalization()(x))
        x = layers.ReLU()(layers.DepthwiseConv2D(3, padding="same")(x))
        x = layers.Add()([shortcut, layers.Conv2D(16, 1)(x)])
        x = layers.Conv2D(32, 1, activation="relu")(layers.MaxPooling2D()(x))
        x = layers.Conv2D(256, 3, activation="relu")(x)  # large enough to be stored as float16
        x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D(name="features")(x))
        model = keras.Model(image, layers.Dense(len(LABELS), activation="softmax", name="probabilities")(x))
        random = np.random.default_rng(0)
        for weight in model.weights:
            scale = 1 / np.sqrt(max(1, np.prod(weight.shape[:-1])))
            drawn = random.uniform(0.5, 2, weight.shape)
            positive = weight.path.endswith(("moving_variance", "gamma"))
            weight.assign(drawn if positive else random.normal(0, scale, weight.shape))
        return model

    @cached_property
    def folded(self) -> keras.Model:
        """The model as float precisions are given it."""
        return fold(self.model)

    @cached_property
    def quantized(self) -> keras.Model:
        """The model as int8 is given it."""
        return quantize(fold(self.model), self.pixels(32)).model

    def prepared(self, precision: str) -> keras.Model:
        return self.quantized if precision == "int8" else self.folded

    @cached_property
    def reference(self) -> TrainedModel:
        return TrainedModel("conformance check", "small_net", LABELS, IMAGE, lambda: self.model)

    def pixels(self, count: int, seed: int = 1) -> NDArray[np.uint8]:
        """Noise, the first image black and the second white, uint8 ``(count, 32, 32, 3)``."""
        images = np.random.default_rng(seed).integers(0, 256, (count, *IMAGE.input_shape), np.uint8)
        images[:2] = np.array([0, 255], np.uint8)[:count, None, None, None]
        return images

    def expected(self, precision: str, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What Keras predicts with the model that the file was made from."""
        return predict_inputs(self.prepared(precision), images, len(images))

    def path(self, precision: str) -> Path:
        """A converted file without metadata; made once. Read it only.

        Raises:
            CheckError: It cannot be made.
        """
        folder = self.folder(f"converted-{precision}")
        path = folder / f"small_net{self.exporter.suffix}"
        if not path.exists():
            try:
                self.exporter.convert(self.prepared(precision), path, precision)
            except (Exception, SystemExit) as error:
                told = error if isinstance(error, ExportError) else None
                raise CheckError(
                    f"{self.exporter.name} converts a small network to {precision}",
                    told.message if told else one_line(error),
                    (told and told.hint)
                    or "Call convert() manually. If a conversion is impossible, it must raise zoo.ExportError.",
                ) from error
        return path

    def copy(self, precision: str, name: str) -> Path:
        """The file with its parts in an empty folder of that name, to change."""
        path = self.path(precision)
        folder = self.folder(name)
        for left in folder.iterdir():
            left.unlink()
        for file in self.exporter.files(path):
            shutil.copyfile(file, folder / file.name)
        return folder / path.name

    def metadata(self, precision: str) -> Metadata:
        return Metadata(
            labels=LABELS,
            image=IMAGE,
            precision=precision,
            architecture="small_net",
            source="conformance check",
            model_digest=model_digest(self.model),
            versions=versions(),
            verification={"status": "verified", "max_abs_difference": 1e-7},
        )

    def longer_metadata(self, precision: str) -> Metadata:
        """Other metadata, and far more of it."""
        said = self.metadata(precision)
        return replace(said, labels=(*LABELS[:-1], "longer" * 90), source="another run")
