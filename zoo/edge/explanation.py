"""Draws the evidence map of a class on the original image, including the parts that the model did not see.

``zoo explain``, the reports and the device use the same module. It needs NumPy and OpenCV.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.atomic import write_bytes
from zoo.errors import UsageError
from zoo.figures import percent
from zoo.image_spec import ImageSpec
from zoo.images import seen
from zoo.terminal import readable

#: Methods to compute the evidence. The class activation map is exact if the head of the network is linear in its
#: feature maps.
CLASS_ACTIVATION, LAYER_CAM = "class activation map", "LayerCAM"

#: Largest and smallest length in pixels of the longest side of the drawn photo. Other photos are reduced or enlarged.
_LARGEST_PX, _SMALLEST_PX = 640, 240
_GAP_PX, _LEGEND_PX, _BAR_PX = 8, 36, 120
#: Opacity of the colour at the strongest evidence. It decreases with the evidence.
_OPACITY = 0.8
_WHITE, _INK, _UNSEEN = 255, (60, 60, 60), 200
_SOFTWARE = "zoo explain"

_OUTSIDE = -1.0
#: Longest side of the reduced photo on which positions are compared, and standard deviation of the Gaussian that finds
#: the centre of a patch, in pixels.
_SMALL_PX, _PATCH_PX = 120, 5

_ROWS, _COLUMNS = ("top", "", "bottom"), ("left", "", "right")


@dataclass(frozen=True, eq=False, kw_only=True)
class Explanation:
    """The evidence for a class in an image.

    Args:
        file: Name of the image.
        label: The class.
        probability: Probability of the class, 0 to 1.
        evidence: Evidence on the grid of the model's feature map, float32 ``(height, width)``: the contribution of each
            position to the logit of the class, relative to the mean of all classes. For LayerCAM, it is positive and
            without unit.
        method: ``class activation map`` or ``LayerCAM``.
        photo: The upright image, uint8 RGB. Large images are reduced.
        size: Original height and width of the image in pixels.
        image: The preprocessing of the image.
        logit, bias: The logit of the class minus the mean of all logits, and its constant part, so that
            ``evidence.sum() + bias == logit``. ``None`` if they are not known.
        remark: A problem of the image that the user should know. Usually empty.
    """

    file: str
    label: str
    probability: float
    evidence: NDArray[np.float32]
    method: str
    photo: NDArray[np.uint8]
    size: tuple[int, int]
    image: ImageSpec
    logit: float | None = None
    bias: float | None = None
    remark: str = ""

    @cached_property
    def drawn(self) -> NDArray[np.uint8]:
        """The photo in its display size, which fits on a screen and is not too small to see."""
        height, width = self.photo.shape[:2]
        scale, interpolation = min(_LARGEST_PX / max(height, width), 1.0), cv2.INTER_LINEAR
        if max(height, width) < _SMALLEST_PX:  # by a whole number, so that pixels remain squares
            scale, interpolation = float(-(-_SMALLEST_PX // max(height, width))), cv2.INTER_NEAREST
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        return np.asarray(cv2.resize(self.photo, size, interpolation=interpolation), np.uint8)

    @cached_property
    def heat(self) -> NDArray[np.float32]:
        """The positive evidence on the photo, 0 to 1, where 1 is the strongest; ``(height, width)`` of ``drawn``.

        NaN for parts of the photo that the model did not see.
        """
        height, width = self.drawn.shape[:2]
        rows, columns = _grid(self.size, (height, width), self.evidence.shape, self.image)
        across, down = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
        evidence = self.evidence.astype(np.float32)
        found = cv2.remap(evidence, across, down, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
        largest = float(found.max())
        heat = np.clip(found / largest, 0, 1) if largest > 0 else np.zeros((height, width))
        unseen = (rows == _OUTSIDE)[:, None] | (columns == _OUTSIDE)[None]
        return np.asarray(np.where(unseen, np.nan, heat), np.float32)

    @cached_property
    def _small(self) -> NDArray[np.float32]:
        """``heat``, reduced to few pixels. Parts that the model did not see are 0."""
        height, width = self.heat.shape
        scale = min(1.0, _SMALL_PX / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        return np.asarray(cv2.resize(np.nan_to_num(self.heat), size, interpolation=cv2.INTER_AREA), np.float32)

    @cached_property
    def peak(self) -> tuple[float, float] | None:
        """The position of the strongest evidence, ``(x, y)`` in pixels of the upright image.

        ``None`` without evidence.
        """
        if not self._small.any():
            return None
        # For a uniform patch, this finds its centre instead of its first corner.
        smooth = cv2.GaussianBlur(self._small, (0, 0), _PATCH_PX, borderType=cv2.BORDER_REPLICATE)
        row, column = np.unravel_index(int(np.asarray(smooth).argmax()), self._small.shape)
        (height, width), (rows, columns) = self.size, self._small.shape
        return (float((column + 0.5) * width / columns), float((row + 0.5) * height / rows))

    @property
    def where(self) -> str:
        """The position of the strongest evidence in words, such as ``at the top left``. Empty without evidence."""
        if self.peak is None:
            return ""
        (x, y), (height, width) = self.peak, self.size
        row, column = _ROWS[min(int(3 * y / height), 2)], _COLUMNS[min(int(3 * x / width), 2)]
        return f"at the {' '.join(filter(None, (row, column)))}" if row or column else "in the middle"

    @property
    def half_area(self) -> float | None:
        """Share of the photo, 0 to 1, that contains half of the evidence. ``None`` without evidence."""
        heat = np.sort(self._small.reshape(-1))[::-1]
        total = heat.sum(dtype=np.float64)
        if not total:
            return None
        return float((np.searchsorted(np.cumsum(heat, dtype=np.float64), total / 2) + 1) / heat.size)

    @property
    def summary(self) -> str:
        """One or two sentences on the position of the evidence."""
        if self.half_area is None:
            return "There is no evidence for this class in the photo."
        share = percent(self.half_area, 0)
        return f"The evidence is strongest {self.where}. Half of it is on {share} of the photo."

    @property
    def alt(self) -> str:
        """Alternative text of ``picture``."""
        label = readable(self.label)
        return (
            f"The photo {readable(self.file)}, and beside it the same photo in gray with the evidence for “{label}” "
            f"({percent(self.probability)}) in colour. {self.summary}"
        )

    @cached_property
    def overlay(self) -> NDArray[np.uint8]:
        """The photo in gray with the evidence in colour, uint8 RGB. Parts that the model did not see are pale."""
        gray = cv2.cvtColor(cv2.cvtColor(self.drawn, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(np.float32)
        heat = np.nan_to_num(self.heat)[..., None]
        drawn = gray * (1 - _OPACITY * heat) + _colours(heat[..., 0]) * _OPACITY * heat
        drawn = np.where(np.isnan(self.heat)[..., None], 0.25 * gray + 0.75 * _UNSEEN, drawn)
        return np.asarray(np.rint(drawn), np.uint8)

    @cached_property
    def picture(self) -> NDArray[np.uint8]:
        """The photo, ``overlay`` next to it, and a legend below; uint8 RGB."""
        height, width = self.drawn.shape[:2]
        wide = max(2 * width + _GAP_PX, 2 * _SMALLEST_PX)
        picture = np.full((height + _LEGEND_PX, wide, 3), _WHITE, np.uint8)
        picture[:height, :width] = self.drawn
        picture[:height, width + _GAP_PX : 2 * width + _GAP_PX] = self.overlay
        _draw_legend(picture[height:], bool(np.isnan(self.heat).any()))
        return picture

    def png(self) -> bytes:
        """``picture`` as a PNG file, with ``alt`` as its description."""
        _, encoded = cv2.imencode(
            ".png", np.ascontiguousarray(self.picture[..., ::-1]), [cv2.IMWRITE_PNG_COMPRESSION, 2]
        )
        data = encoded.tobytes()
        head = 8 + 12 + 13  # the signature and the header chunk
        return data[:head] + _text_chunk("Software", _SOFTWARE) + _text_chunk("Description", self.alt) + data[head:]

    def save(self, path: str | Path) -> Path:
        """Writes ``picture`` to a PNG file atomically, and returns its path.

        Raises:
            UsageError: The file exists, and is not an explanation.
        """
        path = Path(path)
        if path.exists() and not _is_ours(path):
            raise UsageError(f"{path} already exists, and was not written by zoo explain.", "Choose another name.")
        write_bytes(path, self.png())
        return path

    def as_dict(self) -> dict[str, Any]:
        """All values except the images, for JSON."""
        peak = self.peak
        return {
            "file": self.file,
            "label": self.label,
            "probability": self.probability,
            "method": self.method,
            "exact": self.method == CLASS_ACTIVATION,
            "logit": self.logit,
            "bias": self.bias,
            "evidence": self.evidence.tolist(),
            "peak": None if peak is None else {"x": peak[0], "y": peak[1]},
            "half_area": self.half_area,
            "alt": self.alt,
        }

    def __repr__(self) -> str:
        return f"<Explanation {self.file}: {self.label} {percent(self.probability)}. {self.summary}>"

    def _repr_png_(self) -> bytes:
        return self.png()  # shown if it is the last expression of a notebook cell


def halved(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Halves an image, which is fast, until it is less than twice as large as the display size."""
    while max(pixels.shape[:2]) >= 2 * _LARGEST_PX:
        height, width = (max(side // 2, 1) for side in pixels.shape[:2])
        even = pixels[: 2 * height, : 2 * width]
        pixels = np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    return pixels


def free_name(file: str, taken: set[str]) -> str:
    """Returns a file name for the explanation of a photo that is not in ``taken``, and adds it to ``taken``."""
    stem = stem_of(file)
    number, name = 1, f"{stem}.explained.png"
    while name.casefold() in taken:
        number += 1
        name = f"{stem}-{number}.explained.png"
    taken.add(name.casefold())
    return name


def stem_of(file: str) -> str:
    """The name of a photo without its extension, in which characters that a file system may not allow are replaced."""
    return "".join("_" if c in '/\\:*?"<>|' or ord(c) < 32 else c for c in Path(file).stem)[:120] or "photo"


def _grid(
    size: tuple[int, int], drawn: tuple[int, int], cells: tuple[int, ...], image: ImageSpec
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions of the rows and columns of the drawn photo on the grid of the evidence, in cells.

    Rows and columns that the model did not see are ``_OUTSIDE``.
    """
    part, target = seen(*size, image)
    found = []
    for axis, (start, length, inner, inside, whole) in enumerate(
        (
            (part.top, part.height, target.top, target.height, image.height_px),
            (part.left, part.width, target.left, target.width, image.width_px),
        )
    ):
        places = (np.arange(drawn[axis]) + 0.5) * size[axis] / drawn[axis]
        seen_at = inner + (places - start) * inside / length
        on_grid = seen_at / whole * cells[axis] - 0.5
        found.append(np.where((places < start) | (places > start + length), _OUTSIDE, on_grid))
    return found[0], found[1]


def _colours(heat: NDArray[np.float32]) -> NDArray[np.float32]:
    """RGB colours, 0 to 255, of values from 0 to 1. The steps of inferno look even, and get lighter for every eye."""
    levels = np.rint(heat * 255).astype(np.uint8)
    return np.asarray(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO)[..., ::-1], np.float32)


def _draw_legend(strip: NDArray[np.uint8], has_unseen: bool) -> None:
    middle, left = strip.shape[0] // 2, 6

    def write(text: str) -> None:
        nonlocal left
        cv2.putText(strip, text, (left, middle + 4), cv2.FONT_HERSHEY_SIMPLEX, 0.4, _INK, 1, cv2.LINE_AA)
        left += cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 1)[0][0] + 8

    write("evidence: none")
    ramp = np.linspace(0, 1, _BAR_PX, dtype=np.float32)[None]
    strip[middle - 6 : middle + 6, left : left + _BAR_PX] = _colours(ramp).astype(np.uint8)
    left += _BAR_PX + 8
    write("most")
    if has_unseen:
        left += 12
        strip[middle - 6 : middle + 6, left : left + 16] = _UNSEEN
        left += 24
        write("not seen by the model")


def _text_chunk(key: str, text: str) -> bytes:
    """A piece of text for a PNG file, in UTF-8."""
    body = key.encode("ascii") + b"\0\0\0\0\0" + text.encode("utf-8", "replace")
    return struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", zlib.crc32(b"iTXt" + body))


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return _text_chunk("Software", _SOFTWARE) in file.read(256)
    except OSError:
        return False
