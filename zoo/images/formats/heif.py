"""HEIC and other HEIF files with HEVC pictures, which phones save. ``pi-heif`` decodes them, if it is installed.

libheif rotates and mirrors the picture according to its properties. EXIF may contain the orientation too. The EXIF
orientation is ignored, as the format requires.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from zoo.images.errors import ImageError, MissingDecoderError
from zoo.images.formats import avif
from zoo.images.formats.boxes import Container
from zoo.images.formats.header import Alpha, ImageHeader

BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}

_ALPHA_KINDS = (b"urn:mpeg:hevc:2015:auxid:1", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha")

# A bundle has no extras, so the message of the runner names the package itself.
_PACKAGE = "keras-edge-zoo[heif]" if __name__.startswith("zoo.") else "pi-heif"


def read_header(data: bytes) -> ImageHeader:
    container = Container(data, "HEIC")
    kinds = {box.kind for box in container.properties}
    if b"hvcC" not in kinds and b"av1C" in kinds:
        return avif.read_header(data)
    if b"hvcC" not in kinds:
        raise ImageError("HEIF with another codec than HEVC or AV1 is not supported")
    # hvcC stores the bit depth of luma minus 8
    bits = max(8 + (data[box.start + 17] & 7) for box in container.properties if box.kind == b"hvcC")
    width_px, height_px = container.largest_size()
    return ImageHeader(
        format="HEIC",
        width_px=width_px,
        height_px=height_px,
        alpha=_alpha(data, container),
        bits=bits,
    )


def _alpha(data: bytes, container: Container) -> Alpha:
    kinds = [data[box.start + 4 : box.end] for box in container.properties if box.kind == b"auxC"]
    if not any(kind.startswith(_ALPHA_KINDS) for kind in kinds):  # other auxiliary images are depth maps and gain maps
        return "none"
    return "premultiplied" if b"prem" in container.references else "straight"


def read_pixels(data: bytes, header: ImageHeader) -> npt.NDArray[np.uint8]:
    """Decodes to upright pixels of 8 bits: gray ``(height, width)``, RGB, or either with alpha.

    Raises:
        ImageError: The file is damaged, or its picture is larger than declared.
        MissingDecoderError: ``pi-heif`` is not installed.
    """
    try:
        import pi_heif
    except ImportError as error:
        raise MissingDecoderError(f"HEIC photo; install {_PACKAGE}, or convert it to JPEG") from error
    try:
        file = pi_heif.open_heif(data, convert_hdr_to_8bit=False, hdr_to_16bit=False)
        image = file[file.primary_index]
        if image.size[0] * image.size[1] > header.width_px * header.height_px:
            raise ImageError("damaged HEIC: larger than it declares")
        samples = np.asarray(image)
        if samples.dtype == np.uint8:
            return samples.copy()  # the underlying memory is freed with `image`
        scaled = cv2.convertScaleAbs(samples.reshape(len(samples), -1), alpha=255 / (2 ** image.info["bit_depth"] - 1))
        return np.asarray(scaled, np.uint8).reshape(samples.shape)
    except (ValueError, EOFError, SyntaxError, RuntimeError, OSError, IndexError) as error:
        raise ImageError("damaged, truncated or unusual HEIC") from error
