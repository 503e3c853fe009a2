"""An architecture under test, and what its checks share: built once, trained once, exported once."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from zoo.errors import Terminated
from zoo.image_spec import ImageSpec
from zoo.interfaces import Architecture
from zoo.testing.result import CheckError, one_line

if TYPE_CHECKING:
    import keras

    from zoo.data import ImageData
    from zoo.testing.exported import ExportedFiles
    from zoo.testing.fitted import Fitted

#: Sides that are tried, in this order, for a small model to check with.
_SIDES_PX = (32, 48, 64, 80, 96, 128, 160, 192, 224, 256, 320, 384, 448, 512)


class Subject:
    """An architecture under test. What its checks share is made when the first of them asks for it.

    Args:
        architecture: Its record.
        size_px: Side of the pictures that the costly checks work with; ``None``: the smallest that builds.
    """

    def __init__(self, architecture: Architecture, size_px: int | None = None) -> None:
        self.architecture = architecture
        self._size_px = size_px
        self._work = Path(tempfile.mkdtemp(prefix="zoo-check-"))
        self._remover = weakref.finalize(self, shutil.rmtree, self._work, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()

    def close(self) -> None:
        """Forgets the models, and removes the files."""
        self.__dict__.pop("fitted", None)
        self.__dict__.pop("exported", None)
        self._remover()

    def is_of(self, architecture: Architecture, size_px: int | None) -> bool:
        return self.architecture is architecture and self._size_px == size_px and self._remover.alive

    def folder(self, name: str) -> Path:
        """A folder of this name, for files that last as long as the subject."""
        path = self._work / name
        path.mkdir(exist_ok=True)
        return path

    def build(self, input_shape: tuple[int, int, int], num_classes: int, precision: str = "float32") -> keras.Model:
        """The architecture's model; Keras's global settings are the same afterwards, whatever ``build`` does to them.

        Raises:
            CheckError: It cannot be built; with the error of ``build``.
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
                "Call build() by hand and look at the traceback; the check 'builds' says what it must return.",
            ) from error

    @cached_property
    def image(self) -> ImageSpec:
        """The architecture's image rule at the size that is checked.

        Raises:
            CheckError: Nothing builds, or not the size that was asked for.
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
        """Drawn photos of four classes at the size that is checked."""
        from zoo.testing.photos import draw_photos

        with self.own_cache():
            return draw_photos(self.folder("photos"), self.image)

    @cached_property
    def fitted(self) -> Fitted:
        """The model, trained on a few of the photos. Its weights are as training left them; checks put them back."""
        from zoo.testing.fitted import fit

        return fit(self)

    @cached_property
    def exported(self) -> ExportedFiles:
        """The fitted model in other formats."""
        from zoo.testing.exported import ExportedFiles

        return ExportedFiles(self)

    @contextmanager
    def own_cache(self) -> Iterator[None]:
        """Decoded images and features of checks stay out of the user's cache."""
        before: dict[str, Any] = {"ZOO_CACHE_DIR": os.environ.get("ZOO_CACHE_DIR")}
        os.environ["ZOO_CACHE_DIR"] = str(self.folder("cache"))
        try:
            yield
        finally:
            if before["ZOO_CACHE_DIR"] is None:
                del os.environ["ZOO_CACHE_DIR"]
            else:
                os.environ["ZOO_CACHE_DIR"] = before["ZOO_CACHE_DIR"]
