"""Images of Pillow, by way of a file in memory: the decoder sees what it would see had they been saved."""

from __future__ import annotations

import io
import struct
from typing import Any

from zoo.images.errors import ImageError
from zoo.images.formats.tags import ORIENTATION, exif_orientation

#: Code of unsigned 16-bit values in EXIF.
_SHORT = 3

#: Pillow writes these modes losslessly into PNG, and these into TIFF. All others it converts first.
_PNG_MODES = {"1", "L", "LA", "P", "RGB", "RGBA", "I;16"}
_TIFF_MODES = {"I", "F", "CMYK"}
_CONVERTED = {"PA": "RGBA", "La": "LA", "RGBa": "RGBA"}


def is_pillow(value: object) -> bool:
    """Whether it behaves like an image of Pillow, which is no dependency of zoo."""
    return all(hasattr(value, name) for name in ("convert", "getbands", "save", "mode", "info"))


def encoded(image: Any) -> bytes:
    """A lossless file of the image: depth, palette and transparency as they are, and its EXIF orientation.

    Pixels and orientation are those that the image has now, changed or not since it was opened.

    Args:
        image: Of Pillow; of an animation the frame that it is at.

    Raises:
        ImageError: Its file cannot be read any more, or is damaged: Pillow reads it only now.
    """
    buffer = io.BytesIO()
    try:
        image.load()  # of a TIFF, this applies the orientation, and takes it out of the metadata
        exif = _only_orientation(image.info.get("exif"))
        if image.mode.startswith("I;16") and image.mode not in _PNG_MODES:  # another byte order
            image = image.convert("I").convert("I;16")
        elif image.mode not in _PNG_MODES | _TIFF_MODES:
            image = image.convert(_CONVERTED.get(image.mode, "RGB"))
        if image.mode in _TIFF_MODES:
            image.save(buffer, "TIFF", compression="raw", exif=exif)  # else as it was opened, JPEG among others
        else:
            image.save(buffer, "PNG", compress_level=0, exif=exif)
    except Exception as error:  # Pillow raises OSError, SyntaxError, ValueError and errors of its own
        raise ImageError(f"Pillow could not read it: {str(error).rstrip('.')}") from error
    return buffer.getvalue()


def _only_orientation(exif: object) -> bytes:
    """An EXIF block that holds nothing else: neither the place of the photo nor what Pillow could stumble over."""
    orientation = exif_orientation(exif) if isinstance(exif, bytes) else 1
    header = b"Exif\0\0II*\0" + struct.pack("<I", 8)
    return header + struct.pack("<HHHIII", 1, ORIENTATION, _SHORT, 1, orientation, 0)
