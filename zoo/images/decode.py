"""Decodes a picture to 8-bit RGB, upright and opaque."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from zoo.images.errors import ImageError
from zoo.images.formats import png
from zoo.images.formats.header import ImageHeader
from zoo.images.probe import probe

if TYPE_CHECKING:
    from cv2.typing import MatLike

if "OPENCV_LOG_LEVEL" not in os.environ:
    # A bad file is reported as an ImageError; what OpenCV would print beside it only alarms. This is a setting of the
    # process: OPENCV_LOG_LEVEL=WARNING brings the messages back.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)


def decode(data: bytes) -> npt.NDArray[np.uint8]:
    """Decodes JPEG, MPO, PNG, BMP, GIF, WebP, TIFF or AVIF; the content decides which, never a name.

    The pixels are those of the file, with these rules, none of which depends on the OpenCV release:

    - Of an animation, a stereo pair or a multi-page file the first picture is taken.
    - EXIF orientation is applied once (AVIF: its rotation and mirror properties); an invalid one counts as upright.
      Orientation that only XMP states is not applied, as in browsers.
    - Alpha is composited on white: ``255 - round(alpha * (255 - value) / 255)``. For a TIFF, a fourth channel is alpha
      only where the file calls it so; for a BMP, only where it has an alpha mask.
    - Samples of 16 bits become ``round(value / 257)``, before alpha is applied.
    - Gray and palette pictures become RGB; CMYK JPEG is taken as Adobe writes it, inverted, and converted without
      colour profile. Colour profiles are not applied to any format.
    - Bytes after the end of the picture do not matter. A picture that ends too early is refused, even if only its end
      marker is missing. Damage amid the compressed data is refused where the decoder reports it; JPEG and lossy WebP
      decoders do not, and paint over it.

    May be called from several threads at once; decoding releases the GIL.

    Args:
        data: The whole file.

    Returns:
        ``(height, width, 3)`` uint8 RGB, contiguous.

    Raises:
        ImageError: The bytes are not a picture, or not one that can be decoded completely. The reason says why.
    """
    header = probe(data)
    try:
        return _decode(data, header)
    except (cv2.error, MemoryError) as error:
        if isinstance(error, MemoryError) or error.code == cv2.Error.StsNoMem:
            reason = f"{header.width_px} x {header.height_px} pixels do not fit in memory"
        else:
            reason = f"damaged, truncated or unusual {header.format}"
        raise ImageError(reason) from error


def _decode(data: bytes, header: ImageHeader) -> npt.NDArray[np.uint8]:
    pixels = _pixels_as_stored(data, header)
    if header.transparent_gray is not None and pixels.ndim == 2:
        white = 255 if pixels.dtype == np.uint8 else header.max_value
        pixels[pixels == header.transparent_gray] = white
    if pixels.dtype != np.uint8:
        # Exact: v / 257 is never nearer to a half than 1 / 514, far beyond what float32 loses.
        pixels = cv2.convertScaleAbs(pixels, alpha=255 / header.max_value)
    return np.ascontiguousarray(_upright(_to_rgb(pixels, header), header.orientation), np.uint8)


def _pixels_as_stored(data: bytes, header: ImageHeader) -> MatLike:
    """Pixels in the channels and the depth of the file: gray, RGB (JPEG, BMP without alpha), else BGR or BGRA."""
    flags = cv2.IMREAD_UNCHANGED
    if _comes_as_rgb(header):
        flags = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION
    elif header.format == "PNG":
        data = png.only_pixels(data)
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"damaged, truncated or unusual {header.format}")
    return pixels


def _comes_as_rgb(header: ImageHeader) -> bool:
    # For JPEG this saves a pass over the pixels; with BMP, IMREAD_UNCHANGED takes meaningless bytes for alpha and
    # OS/2 headers for gray.
    return header.alpha == "none" and header.format in ("JPEG", "BMP")


def _to_rgb(pixels: MatLike, header: ImageHeader) -> MatLike:
    if pixels.ndim == 2:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    if _comes_as_rgb(header):
        return pixels
    if pixels.shape[2] == 3:
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
    rgb = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB)
    if header.alpha == "none":
        return rgb
    opacity = cv2.cvtColor(cv2.extractChannel(pixels, 3), cv2.COLOR_GRAY2RGB)
    if header.alpha == "premultiplied":
        return cv2.add(rgb, cv2.bitwise_not(opacity))  # saturates
    # Neither float32 nor the rounding mode shows: a product of bytes / 255 is never nearer to a half than 1 / 510.
    darkness = cv2.multiply(cv2.bitwise_not(rgb), opacity, scale=1 / 255)
    return cv2.bitwise_not(darkness)


def _upright(image: MatLike, orientation: int) -> MatLike:
    """Undoes an EXIF orientation, 1 to 8."""
    match orientation:
        case 2:
            return cv2.flip(image, 1)
        case 3:
            return cv2.rotate(image, cv2.ROTATE_180)
        case 4:
            return cv2.flip(image, 0)
        case 5:
            return cv2.transpose(image)
        case 6:
            return cv2.rotate(image, cv2.ROTATE_90_CLOCKWISE)
        case 7:
            return cv2.flip(cv2.transpose(image), -1)
        case 8:
            return cv2.rotate(image, cv2.ROTATE_90_COUNTERCLOCKWISE)
    return image
