"""An architecture under test, and what its checks share: built once, trained once, exported once."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from zoo.errors import Terminated
from zoo.image_spec import ImageSpec
from zoo.interfaces import Architecture
from zoo.testing.result import CheckError, one_line
from zoo.testing.workspace import Workspace

if TYPE_CHECKING:
    import keras

    from zoo.data import ImageData
    from zoo.testing.converted import ExportedFiles
    from zoo.testing.fitted import Fitted

#: Image sizes that are tried in this order, to get a small model for the checks.
_SIDES_PX = (32, 48, 64, 80, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512)


class Subject(Workspace):
    """An architecture under test, and what its checks share.

    Args:
        record: The architecture.
        size_px: Side of the pictures in the slow checks. ``None``: the smallest at which the model can be built.
    """

    @property
    def architecture(self) -> Architecture:
        record: Architecture = self.record
        return record

    def build(self, input_shape: tuple[int, int, int], num_classes: int, precision: str = "float32") -> keras.Model:
        """The model of the architecture. Global settings of Keras are restored afterwards.

        Raises:
            CheckError: It cannot be built. The message contains the error of ``build``.
        """
        from zoo.testing.keras_state import settings_kept
        from zoo.training.model import build_model

        height, width, _ = input_shape
        try:
            with settings_kept():
                return build_model(self.architecture, input_shape, num_classes, precision=precision)
        except Terminated:
            raise
        except (Exception, SystemExit) as error:
            raise CheckError(
                f"{self.architecture.name} builds for {num_classes} classes of {width}x{height} px",
                one_line(error),
                "Call build() manually and look at the traceback. The check 'builds' describes what it must return.",
            ) from error

    @cached_property
    def image(self) -> ImageSpec:
        """The architecture's ``ImageSpec`` with the image size of the slow checks.

        Raises:
            CheckError: The model cannot be built at the requested size, or at any size.
        """
        if self._size_px:
            return self._built(self._size_px)
        for side in (side for side in _SIDES_PX if side < self._own_side_px):
            with suppress(CheckError):
                return self._built(side)
        self.build(self.architecture.image.input_shape, 4)
        return self.architecture.image

    def _built(self, side_px: int) -> ImageSpec:
        spec = replace(self.architecture.image, height_px=side_px, width_px=side_px)
        self.build(spec.input_shape, 4)
        return spec

    @property
    def _own_side_px(self) -> int:
        return min(self.architecture.image.height_px, self.architecture.image.width_px)

    @cached_property
    def photos(self) -> ImageData:
        """Drawn photos of four classes, at the image size of the slow checks."""
        from zoo.testing.photos import draw_photos

        with self.own_cache():
            return draw_photos(self.folder("photos"), self.image)

    @cached_property
    def fitted(self) -> Fitted:
        """The model, trained on a few of the photos. Checks that change its weights restore them."""
        from zoo.testing.fitted import fit

        return fit(self)

    @cached_property
    def exported(self) -> ExportedFiles:
        """The fitted model in other formats."""
        from zoo.testing.converted import ExportedFiles

        return ExportedFiles(self)
