"""Decides whether two images show the same photograph: aligns them and compares them patch by patch.

Fingerprints give a rough overlap of the two images. The second image is warped onto the first. Then every patch of the
first is searched near its position in the second, and the positions found refine the warp: scale and shift of each
axis, fitted without outliers. Finally, a patch counts as matching if it correlates, lies at the position that the warp
predicts, and has the same colour. Correlation is invariant to brightness and contrast, patches tolerate overlays, and
the warp handles cropping. Another ball in the same pose shares the outline, but not the patches inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.audit.fingerprints import Overlap

if TYPE_CHECKING:
    from cv2.typing import MatLike

#: Pictures are compared at this width and height.
SIDE_PX = 160

#: Increased whenever the result for the same two pictures changes.
VERSION = 5

_PATCH_PX = 20
_REACH_PX = 6  # maximum distance at which a patch is searched
_TEXTURED = 5.0  # minimum standard deviation of a patch with texture, in gray levels
_FLAT = 1.5  # maximum standard deviation of a patch without texture
_HINT = 0.6  # minimum correlation of a patch that is used to fit the warp
_SAME = 0.8  # minimum correlation of a matching patch
_SAME_PLACE_PX = 2
_OTHER_COLOUR = 8.0  # mean difference of chroma of different colours, in gray levels
_COLOUR_CAST = 8.0  # maximum difference of chroma that is common to all pixels
_GRAY = 4.0  # chroma that almost no pixel of a gray picture exceeds
_ENOUGH = 12  # minimum number of textured patches for the coarse pass
_FEWEST = 6  # minimum number of textured patches for a result

Warp = NDArray[np.float64]
Plane = NDArray[np.uint8] | NDArray[np.float32]


@dataclass(frozen=True)
class Canvas:
    """An image prepared for comparison.

    Args:
        gray: ``(SIDE_PX, SIDE_PX)`` uint8.
        chroma: ``(SIDE_PX, SIDE_PX, 2)`` uint8, centred on 128.
        colourless: Whether the whole image is gray.
    """

    gray: NDArray[np.uint8]
    chroma: NDArray[np.uint8]
    colourless: bool

    @classmethod
    def of(cls, image: NDArray[np.uint8]) -> Canvas:
        """From ``(height, width, 3)`` uint8 RGB of any size."""
        small = cv2.resize(image, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA)
        planes = cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb)
        chroma = np.asarray(cv2.blur(planes[:, :, 1:], (5, 5)), np.uint8)
        strength = np.percentile(np.abs(chroma.astype(np.int16) - 128), 99.5)
        return cls(np.ascontiguousarray(planes[:, :, 0]), chroma, bool(strength < _GRAY))

    def mirrored(self) -> Canvas:
        flip = np.s_[:, ::-1]
        return Canvas(np.ascontiguousarray(self.gray[flip]), np.ascontiguousarray(self.chroma[flip]), self.colourless)


@dataclass(frozen=True)
class _Patches:
    """Patches of the first image that were searched in the second.

    Args:
        centres: ``(n, 2)``, y and x, in pixels of the first.
        moved: ``(n, 2)``, displacement of the position at which each was found.
        correlation: ``(n,)``, correlation at that position.
    """

    centres: NDArray[np.float64]
    moved: NDArray[np.float64]
    correlation: NDArray[np.float64]


def similarity(first: Canvas, second: Canvas, ways: Sequence[Overlap]) -> tuple[float, bool]:
    """How similar two pictures are, and whether the second had to be mirrored for it.

    The similarity is the share of the textured patches that match, 0 to 1. It is about 0 for different photographs.

    Args:
        first, second: The images. The patches are those of the first, so swapping the two can change the share
            slightly.
        ways: Possible overlaps. The best is used. The search ends at the first that clearly fits.
    """
    best, mirrored = 0.0, False
    for way in ways:
        found = _similarity(first, second.mirrored() if way.mirror else second, _start(way))
        if found > best:
            best, mirrored = found, way.mirror
        if best >= 0.75:
            break
    return best, mirrored


def _start(way: Overlap) -> Warp:
    """The initial warp from pixels of the first image to pixels of the second, given by their windows."""
    scale = way.second.size / way.first.size
    shift_x = (way.second.left - way.first.left * scale) * SIDE_PX
    shift_y = (way.second.top - way.first.top * scale) * SIDE_PX
    return np.array([[scale, 0, shift_x], [0, scale, shift_y]])


def _similarity(first: Canvas, second: Canvas, warp: Warp) -> float:
    for step in (32, 16):  # the coarse pass takes a quarter of the time and settles most comparisons
        patches = _find_patches(first, second, warp, step)
        if step == 32 and len(patches.correlation) < _ENOUGH:
            continue
        correction = _correction(patches)
        if correction is None or (step == 32 and (patches.correlation > _HINT).mean() < 0.2):
            return 0.0
        warp = warp @ correction
    patches = _find_patches(first, second, warp, 16)
    if len(patches.correlation) < _FEWEST:
        return 0.0
    same = (patches.correlation > _SAME) & (np.abs(patches.moved).max(1) <= _SAME_PLACE_PX)
    if not (first.colourless or second.colourless):
        same &= _same_colour(first, second, warp, patches)
    return float(same.mean())


def _warped(image: Plane, warp: Warp) -> MatLike:
    return cv2.warpAffine(image, warp, (SIDE_PX, SIDE_PX), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def _find_patches(first: Canvas, second: Canvas, warp: Warp, step: int) -> _Patches:
    """Searches patches of the first image, ``step`` pixels apart, in the second.

    Patches without texture are left out.
    """
    over = np.asarray(_warped(second.gray, warp), np.uint8)
    covered = _box_mean(np.asarray(_warped(np.full_like(second.gray, 255), warp), np.uint8))
    texture, other_texture = _box_deviation(first.gray), _box_deviation(over)
    starts = range(_REACH_PX, SIDE_PX - _PATCH_PX - _REACH_PX + 1, step)
    centres, moved, correlation = [], [], []
    for top in starts:
        for left in starts:
            y, x = top + _PATCH_PX // 2, left + _PATCH_PX // 2
            here, there = texture[y, x], other_texture[y, x]
            if covered[y, x] < 250 or max(here, there) < _TEXTURED:
                continue
            centres.append((y, x))
            if min(here, there) < _FLAT:  # texture in only one of the pictures
                moved.append((0, 0))
                correlation.append(0.0)
                continue
            patch = first.gray[top : top + _PATCH_PX, left : left + _PATCH_PX]
            around = over[
                top - _REACH_PX : top + _PATCH_PX + _REACH_PX, left - _REACH_PX : left + _PATCH_PX + _REACH_PX
            ]
            _, value, _, (right, down) = cv2.minMaxLoc(cv2.matchTemplate(around, patch, cv2.TM_CCOEFF_NORMED))
            moved.append((down - _REACH_PX, right - _REACH_PX))
            correlation.append(value)
    return _Patches(
        np.array(centres, np.float64).reshape(-1, 2), np.array(moved, np.float64).reshape(-1, 2), np.array(correlation)
    )


def _box_mean(plane: Plane) -> NDArray[np.float32]:
    return np.asarray(cv2.boxFilter(plane, cv2.CV_32F, (_PATCH_PX, _PATCH_PX)), np.float32)


def _box_deviation(plane: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Standard deviation of the patch around each pixel."""
    squares = np.asarray(cv2.sqrBoxFilter(plane, cv2.CV_32F, (_PATCH_PX, _PATCH_PX)), np.float32)
    return np.asarray(np.sqrt(np.maximum(squares - _box_mean(plane) ** 2, 0)), np.float32)


def _correction(patches: _Patches) -> Warp | None:
    """Scale and shift of each axis that map most patches to the positions found. ``None`` if few agree."""
    hints = patches.correlation > _HINT
    if hints.sum() < 4:
        return None
    centres, moved = patches.centres[hints] - SIDE_PX / 2, patches.moved[hints]
    kept = np.abs(moved - np.median(moved, 0)).max(1) <= 4
    for _ in range(3):
        if kept.sum() < 4:
            return None
        left_over = np.zeros(len(moved))
        found = []
        for axis in (0, 1):
            known = np.stack([centres[kept, axis], np.ones(kept.sum())], 1)
            # The ridge penalty keeps the scale defined if all patches are in one row.
            growth, shift = np.linalg.solve(known.T @ known + np.diag([2000, 0.01]), known.T @ moved[kept, axis])
            found.append((growth, shift))
            left_over = np.maximum(left_over, np.abs(moved[:, axis] - centres[:, axis] * growth - shift))
        kept = left_over < 2
    (grow_y, shift_y), (grow_x, shift_x) = found
    middle = SIDE_PX / 2
    return np.array([[1 + grow_x, 0, shift_x - grow_x * middle], [0, 1 + grow_y, shift_y - grow_y * middle], [0, 0, 1]])


def _same_colour(first: Canvas, second: Canvas, warp: Warp, patches: _Patches) -> NDArray[np.bool_]:
    rows, columns = patches.centres.astype(int).T
    mine, theirs = first.chroma.astype(np.float32) - 128, second.chroma.astype(np.float32) - 128
    difference = mine - np.asarray(_warped(theirs, warp), np.float32)
    # Another white balance shifts the chroma of all pixels equally.
    cast = np.median(difference[rows, columns], 0)
    mean = _box_mean(np.abs(difference - np.clip(cast, -_COLOUR_CAST, _COLOUR_CAST)).sum(2))
    # A change of lighting scales chroma, so the limit is proportional to it.
    colour = _box_mean(np.abs(mine).sum(2))[rows, columns]
    return np.asarray(mean[rows, columns] < _OTHER_COLOUR + 0.25 * colour, np.bool_)
