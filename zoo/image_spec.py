"""The preprocessing of image files to model input, described by one record.

The record contains all settings; ``zoo.images`` implements them. It is stored in every run, every exported file and
every bundle, and two records are compared by their digests. This module needs only the standard library, so that it can
be used on the device unchanged.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

from zoo.errors import UsageError
from zoo.records import read_record

ResizeRule = Literal["squash", "crop", "letterbox"]
Interpolation = Literal["area", "bilinear", "bicubic"]

RESIZE_RULES: tuple[str, ...] = get_args(ResizeRule)
INTERPOLATIONS: tuple[str, ...] = get_args(Interpolation)

#: Increased whenever the same record would result in other pixels than before. Records of version 1 keep their pixels,
#: which depend on the processor (``docs/decisions/0026-arm.md``).
SPEC_VERSION = 2
SPEC_VERSIONS = (1, SPEC_VERSION)


@dataclass(frozen=True, kw_only=True)
class ImageSpec:
    """Preprocessing of an image file to ``(height_px, width_px, 3)`` uint8 RGB.

    In any case, EXIF orientation is applied, alpha is composited on white, gray is converted to RGB, 16 bits are
    reduced to 8, and the first frame of an animation is used.

    Args:
        height_px: Height of the result in pixels, 1 to 4096.
        width_px: Width of the result in pixels, 1 to 4096.
        resize: ``squash`` stretches to the size and ignores the aspect ratio. ``crop`` scales the shorter side to
            256/224 of the target and takes the centre. ``letterbox`` keeps the whole image and pads with gray (114).
        interpolation: ``area`` averages when the image shrinks (no aliasing) and is bilinear when it grows.
            ``bilinear`` and ``bicubic`` sample without averaging.
        version: Version of the arithmetic. 2 gives the same pixels on every processor; 1 is for older runs and files.

    Raises:
        UsageError: A value is out of range.

    >>> from zoo.images import load_image
    >>> spec = zoo.ImageSpec(height_px=48, width_px=64, resize="crop")
    >>> load_image("photo.png", spec).shape
    (48, 64, 3)
    >>> print(spec)
    64x48 crop, area
    """

    height_px: int = 224
    width_px: int = 224
    resize: ResizeRule = "squash"
    interpolation: Interpolation = "area"
    version: int = SPEC_VERSION

    def __post_init__(self) -> None:
        for side in ("height_px", "width_px"):
            value = getattr(self, side)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 4096:
                raise UsageError(f"ImageSpec.{side} must be a whole number from 1 to 4096. Received: {value!r}.")
        if self.resize not in RESIZE_RULES:
            raise UsageError(f"Unknown resize rule {self.resize!r}.", f"Known: {', '.join(RESIZE_RULES)}.")
        if self.interpolation not in INTERPOLATIONS:
            raise UsageError(f"Unknown interpolation {self.interpolation!r}.", f"Known: {', '.join(INTERPOLATIONS)}.")
        if self.version not in SPEC_VERSIONS or isinstance(self.version, bool):
            raise UsageError(
                f"This image spec has version {self.version!r}, but this zoo supports versions"
                f" {' and '.join(map(str, SPEC_VERSIONS))}.",
                "Use the zoo release that wrote it, or train again.",
            )

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Shape of one image, ``(height, width, 3)``."""
        return (self.height_px, self.width_px, 3)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ImageSpec:
        """The inverse of ``as_dict``. Unknown keys are refused, because they may affect the pixels."""
        if not isinstance(values, dict):
            raise UsageError(f"An image spec must be an object with names and values. Received: {values!r:.80}.")
        unknown = sorted(set(values) - {field.name for field in fields(cls)})
        if unknown:
            raise UsageError(f"Unknown image spec field(s): {', '.join(unknown)}.", "Was it written by a newer zoo?")
        try:
            return read_record(cls, values)
        except ValueError as error:
            raise UsageError(f"The image spec cannot be used: {error}.") from None

    def to_json(self) -> str:
        """Canonical JSON with sorted keys and without spaces. Equal specs give equal text."""
        return json.dumps(self.as_dict(), sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of the canonical JSON."""
        import hashlib  # loads OpenSSL, which the runner on the device rarely needs

        return hashlib.sha256(self.to_json().encode()).hexdigest()[:12]

    def __str__(self) -> str:
        version = "" if self.version == SPEC_VERSION else f", version {self.version}"
        return f"{self.width_px}x{self.height_px} {self.resize}, {self.interpolation}{version}"
