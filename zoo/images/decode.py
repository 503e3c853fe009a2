"""Decodes an image to 8-bit RGB, upright and opaque."""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from zoo.images.errors import ImageError, ImageMemoryError
from zoo.images.formats import avif, bmp, gif, heif, jpeg, png, tiff, tiff_pixels
from zoo.images.formats.header import ImageHeader
from zoo.images.probe import probe
from zoo.images.product import product

if TYPE_CHECKING:
    from cv2.typing import MatLike

if "OPENCV_LOG_LEVEL" not in os.environ:
    # A bad file is reported as an ImageError, so OpenCV must not print messages in addition. This is a setting of the
    # process; OPENCV_LOG_LEVEL=WARNING shows the messages again.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

#: Increased whenever a change of the decoder returns other pixels for a valid file, or no longer refuses one.
DECODER_VERSION = 3


def decode(data: bytes) -> npt.NDArray[np.uint8]:
    """Decodes JPEG, MPO, PNG, BMP, GIF, WebP, TIFF, AVIF or HEIC. The content determines the format, not the name.

    The pixels are those of the file, with the following rules, which do not depend on the OpenCV release or the
    processor, except that a premultiplied AVIF may differ by one level between processors:

    - Of an animation, a burst, a stereo pair or a multi-page file, the first image is used; in HEIC, the primary
      image. Areas that the first frame of a GIF does not cover are transparent.
    - The EXIF orientation is applied once; for AVIF and HEIC, the rotation and mirror properties of the file instead.
      An invalid orientation counts as upright. An orientation that is only in XMP is ignored, as browsers do.
    - Alpha is composited on white: ``255 - round(alpha * (255 - value) / 255)``. In a TIFF, a channel is alpha only
      if the file declares it; in a BMP, only if there is an alpha mask.
    - Samples of ``n`` bits become ``round(value * 255 / (2**n - 1))``, before alpha is applied. Floating point samples
      and those of 32 bits or more have no defined white value. For these, the first of 1 (floating point only), 255,
      65535, ``2**32 - 1`` and ``2**64 - 1`` that no sample of the image exceeds is white. Signed samples of 0 or less
      are black.
    - Gray and palette images become RGB. CMYK JPEG is interpreted as Adobe writes it, with inverted values, and
      converted without its colour profile. Colour profiles are not applied to any format.
    - Bytes after the end of the image are ignored. An image that ends too early is refused, but a JPEG that lacks only
      its end marker is used (``ImageHeader.has_end``). Damage within the compressed data is refused if the decoder
      reports it. The decoders of JPEG, lossy WebP, HEIC and some TIFF files do not report it, and fill in the damage.

    Thread-safe; decoding releases the GIL.

    Args:
        data: The whole file.

    Returns:
        ``(height, width, 3)`` uint8 RGB, contiguous.

    Raises:
        ImageError: The bytes are not an image, or the image cannot be decoded completely. The error contains the
            reason.
        MissingDecoderError: The file is a HEIC photo, and ``pi-heif`` is not installed.
        ImageMemoryError: The pixels do not fit into memory.
    """
    header = probe(data)
    try:
        return _decode(data, header)
    except (struct.error, IndexError):
        raise ImageError(f"truncated {header.format}") from None
    except (cv2.error, MemoryError) as error:
        if isinstance(error, MemoryError) or error.code == cv2.Error.StsNoMem:
            raise ImageMemoryError(f"{header.width_px} x {header.height_px} pixels do not fit in memory") from error
        raise ImageError(f"damaged, truncated or unusual {header.format}") from error


def _decode(data: bytes, header: ImageHeader) -> npt.NDArray[np.uint8]:
    pixels, blue_first = _pixels_as_stored(data, header)
    if header.transparent_gray is not None and pixels.ndim == 2:
        white = 255 if pixels.dtype == np.uint8 else header.max_value
        pixels[pixels == header.transparent_gray] = white
    if pixels.dtype != np.uint8:
        # Exact: v / 257 (16 bits) is at least 1 / 514 away from every k + 1/2, far above the rounding error of float32.
        pixels = cv2.convertScaleAbs(pixels, alpha=255 / header.max_value)
    return np.ascontiguousarray(_upright(_to_rgb(pixels, header, blue_first), header.orientation), np.uint8)


def _pixels_as_stored(data: bytes, header: ImageHeader) -> tuple[MatLike, bool]:
    """Pixels with the channels and depth of the file, alpha last, and whether they are in BGR order."""
    match header.format:
        case "BMP":
            return bmp.read_pixels(data), False
        case "HEIC":
            return heif.read_pixels(data, header), False
        case "TIFF" if not (layout := tiff.read_layout(data)).is_for_opencv:
            return tiff_pixels.read_pixels(data, layout), False
        case "GIF":
            return _on_canvas(gif.first_frame(data), header), True
        case "JPEG":
            # decoded as RGB at once, which avoids another pass over the pixels
            whole = data if header.has_end else jpeg.completed(data)
            return _with_opencv(whole), False
        case "PNG":
            return _with_opencv(png.only_pixels(data), cv2.IMREAD_UNCHANGED, "PNG"), True
        case "AVIF":
            return _with_opencv(avif.with_brand(data), cv2.IMREAD_UNCHANGED, "AVIF"), True
    return _with_opencv(data, cv2.IMREAD_UNCHANGED, header.format), True


def _with_opencv(
    data: bytes, flags: int = cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION, name: str = "JPEG"
) -> MatLike:
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        raise ImageError(f"damaged, truncated or unusual {name}")
    return pixels


def _on_canvas(frame: gif.Frame, header: ImageHeader) -> MatLike:
    """The frame at its position on the canvas. The rest is transparent."""
    pixels = _with_opencv(frame.content, cv2.IMREAD_UNCHANGED, "GIF")
    if pixels.shape[:2] == (header.height_px, header.width_px):
        return pixels
    if pixels.ndim == 2:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    if pixels.shape[2] == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_BGR2BGRA)
    canvas = np.zeros((header.height_px, header.width_px, 4), np.uint8)
    canvas[frame.top_px : frame.top_px + frame.height_px, frame.left_px : frame.left_px + frame.width_px] = pixels
    return canvas


def _to_rgb(pixels: MatLike, header: ImageHeader, blue_first: bool) -> MatLike:
    if pixels.ndim == 2:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    channels = pixels.shape[2]
    if channels == 3:
        return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB) if blue_first else pixels
    pixels = np.ascontiguousarray(pixels)
    if channels == 2:
        rgb = cv2.cvtColor(cv2.extractChannel(pixels, 0), cv2.COLOR_GRAY2RGB)
    else:
        rgb = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB if blue_first else cv2.COLOR_RGBA2RGB)
    if header.alpha == "none":
        return rgb
    opacity = cv2.cvtColor(cv2.extractChannel(pixels, channels - 1), cv2.COLOR_GRAY2RGB)
    if header.alpha == "premultiplied":
        return cv2.add(rgb, cv2.bitwise_not(opacity))  # saturates
    return cv2.bitwise_not(product(np.asarray(cv2.bitwise_not(rgb), np.uint8), np.asarray(opacity, np.uint8)))


def _upright(image: MatLike, orientation: int) -> MatLike:
    """Applies an EXIF orientation, 1 to 8."""
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
