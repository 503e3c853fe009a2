"""Converts Pillow images to files in memory, so that they are decoded like saved files."""

from __future__ import annotations

import io
import struct
from typing import Any

from zoo.images.errors import ImageError
from zoo.images.formats.tags import ORIENTATION, exif_orientation

#: EXIF code of unsigned 16-bit values.
_SHORT = 3

#: Modes that Pillow writes losslessly as PNG, and modes that it writes losslessly as TIFF. All others are converted
#: first.
_PNG_MODES = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}
_TIFF_MODES = {"I", "F", "CMYK"}
_CONVERTED = {"PA": "RGBA", "La": "LA", "RGBa": "RGBA"}


def is_pillow(value: object) -> bool:
    """Whether the value is like a Pillow image. Pillow is not a dependency of zoo."""
    return all(hasattr(value, name) for name in ("convert", "getbands", "save", "mode", "info"))


def encoded(image: Any) -> bytes:
    """Encodes the image losslessly, with its depth, palette, transparency and EXIF orientation.

    Pixels and orientation are the current ones, even if they were changed after opening.

    Args:
        image: A Pillow image. Of an animation, the current frame is used.

    Raises:
        ImageError: Its file can no longer be read, or is damaged. Pillow reads it only at this point.
    """
    buffer = io.BytesIO()
    try:
        image.load()  # for a TIFF, this applies the orientation and removes it from the metadata
        exif = _only_orientation(image.info.get("exif"))
        if image.mode.startswith("I;16") and image.mode not in _PNG_MODES:  # 16 bits in the other byte order
            image = image.convert("I").convert("I;16")
        elif image.mode not in _PNG_MODES | _TIFF_MODES:
            image = image.convert(_CONVERTED.get(image.mode, "RGB"))
        if image.mode in _TIFF_MODES:
            image.save(buffer, "TIFF", compression="raw", exif=exif)  # not the original compression, such as JPEG
        else:
            image.save(buffer, "PNG", compress_level=0, exif=exif)
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError and its own errors
        raise ImageError(f"Pillow could not read it: {str(error).rstrip('.')}") from error
    return buffer.getvalue()


def _only_orientation(exif: object) -> bytes:
    """An EXIF block that contains only the orientation: no location, and no tags that Pillow cannot write."""
    orientation = exif_orientation(exif) if isinstance(exif, bytes) else 1
    header = b"Exif\0\0II*\0" + struct.pack("<I", 8)
    return header + struct.pack("<HHHIII", 1, ORIENTATION, _SHORT, 1, orientation, 0)
