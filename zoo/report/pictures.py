"""The photographs a run was made from, as far as they are still there, and how the page carries them."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from zoo.images import ImageError, load_image
from zoo.report.grids import Picture
from zoo.run_folder import Run

#: Longest side of a picture on the page, in pixels; it is shown at up to this in CSS pixels.
THUMBNAIL_PX = 168
_JPEG_QUALITY = 80


class Pictures:
    """Loads images of a run by the name ``split.csv`` gives them, as the model saw them."""

    def __init__(self, run: Run, contents: dict[str, str]) -> None:
        """
        Args:
            run: The run.
            contents: SHA-256 by name; a file with another content is not the one that the model saw.
        """
        data = run.info.data
        source = Path(data.source or ".")
        self._roots = [Path(root) for root in (data.root, source, source.parent) if root]
        self._spec = run.image_spec
        self._contents = contents

    def load(self, name: str) -> Picture:
        """``(height, width, 3)`` uint8 RGB; ``None`` where the file is gone, has changed or cannot be read."""
        for root in self._roots:
            path = root / name
            try:
                if path.is_file() and self._unchanged(path, name):
                    return load_image(path, self._spec)
            except (OSError, ImageError):
                continue
        return None

    def _unchanged(self, path: Path, name: str) -> bool:
        expected = self._contents.get(name)
        if not expected:
            return True
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == expected


def thumbnail(picture: npt.NDArray[np.uint8]) -> tuple[str, int, int]:
    """A data URI (JPEG, at most 168 pixels a side; PNG for tiny pictures, which JPEG would smear), width, height."""
    import cv2

    height, width = picture.shape[:2]
    scale = THUMBNAIL_PX / max(height, width)
    if scale < 1:
        height, width = max(1, round(height * scale)), max(1, round(width * scale))
        shrunk = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        picture = np.asarray(shrunk, np.uint8)
    tiny = max(height, width) <= 64
    options = [] if tiny else [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    _, encoded = cv2.imencode(".png" if tiny else ".jpg", np.ascontiguousarray(picture[:, :, ::-1]), options)
    return data_uri(encoded.tobytes(), "image/png" if tiny else "image/jpeg"), width, height


def data_uri(data: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"
