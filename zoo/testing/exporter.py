"""An exporter under test, a small model, and the files to which the exporter converts it."""

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

#: Labels with text that a format may store incorrectly: other scripts, commas, blanks, line ends, invalid UTF-8.
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
        """A network with all kinds of convolutions, a residual connection, pooling and a softmax over five classes.

        Every weight affects the outputs.
        """
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
        """The model that ``convert`` receives for float32 and float16."""
        return fold(self.model)

    @cached_property
    def quantized(self) -> keras.Model:
        """The model that ``convert`` receives for int8."""
        return quantize(fold(self.model), self.pixels(32)).model

    def prepared(self, precision: str) -> keras.Model:
        return self.quantized if precision == "int8" else self.folded

    @cached_property
    def reference(self) -> TrainedModel:
        return TrainedModel("conformance check", "small_net", LABELS, IMAGE, lambda: self.model)

    def pixels(self, count: int, seed: int = 1) -> NDArray[np.uint8]:
        """A black image, a white image, and images of noise, uint8 ``(count, 32, 32, 3)``."""
        images = np.random.default_rng(seed).integers(0, 256, (count, *IMAGE.input_shape), np.uint8)
        images[:2] = np.array([0, 255], np.uint8)[:count, None, None, None]
        return images

    def expected(self, precision: str, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The predictions of Keras with the model that was converted."""
        return predict_inputs(self.prepared(precision), images, len(images))

    def path(self, precision: str) -> Path:
        """A converted file without metadata. It is created once, and checks must not change it.

        Raises:
            CheckError: The model cannot be converted.
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
        """A copy of the file and its parts in a folder of that name. Checks may change it."""
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
        """Other metadata, which is much longer."""
        said = self.metadata(precision)
        return replace(said, labels=(*LABELS[:-1], "longer" * 90), source="another run")
