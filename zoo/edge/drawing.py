"""Draws predictions onto images, for ``--show`` and ``--save``."""

from __future__ import annotations

import os
import sys
import time
import unicodedata
from dataclasses import replace
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.atomic import make_folder, write_bytes
from zoo.edge.classify import Answer, Classifier
from zoo.edge.explanation import stem_of
from zoo.edge.sources import upright
from zoo.errors import UsageError
from zoo.figures import percent
from zoo.terminal import readable

#: A small image is enlarged until its shorter side or its longer side has this length, to make room for the text.
_SHORTER_PX, _LONGER_PX = 240, 1024
#: Height of the text: this fraction of the shorter side, and at least this number of pixels.
_LETTER_PART, _SMALLEST_LETTER_PX = 16, 12
#: Brightness of the image behind the text, 0 to 1.
_BRIGHTNESS = 0.35
_WEIGHT = 600
_WHITE = (255, 255, 255)
_JPEG_QUALITY = 90
#: Maximum length of a side in the JPEG format.
_LONGEST_JPEG_PX = 65_500

_RIGHT_TO_LEFT = ("R", "AL", "AN")


class WindowClosedError(Exception):
    """The user has closed the window."""


class Viewer:
    """Classifies images, draws the predictions onto them, and shows or saves them.

    Args:
        classifier: Predicts the images.
        top: Number of classes to draw, 1 or more.
        save: Folder for the images; ``None`` saves none.
        show: Whether to open a window.

    Raises:
        UsageError: There is no display, or Python has no Tk.
        TrainingError: The folder cannot be created.
    """

    def __init__(self, classifier: Classifier, top: int, save: Path | None, show: bool) -> None:
        self._classifier, self._top, self._folder = classifier, top, save
        self._window = _Window() if show else None
        self._told: set[str] = set()
        if save is not None:
            make_folder(save)

    def classify(self, name: str, picture: str | os.PathLike[str] | bytes | NDArray[np.uint8]) -> Answer:
        """Returns what ``Classifier.classify`` returns, after the image has been shown and saved.

        Raises:
            ImageError: The image cannot be read.
            WindowClosedError: The user has closed the window.
            TrainingError: The image cannot be saved.
        """
        pixels, remark = upright(picture)
        answer = replace(self._classifier.classify(pixels, self._top), remark=remark)
        lines = [f"{self._drawable(label)} {percent(probability)}" for label, probability in answer.top]
        drawn = draw(pixels, lines if answer.known else ["unknown", *lines])
        if self._folder is not None:
            write_bytes(_free_path(self._folder, name), _jpeg(drawn))
        if self._window:
            self._window.show(drawn)
        return answer

    def wait(self, seconds: float) -> None:
        """Sleeps, while the window stays responsive.

        Raises:
            WindowClosedError: The user has closed the window.
        """
        if self._window:
            self._window.wait(seconds)
        else:
            time.sleep(seconds)

    def _drawable(self, label: str) -> str:
        """The label, or its number if the font does not have all of its letters."""
        if can_draw(label):
            return unicodedata.normalize("NFC", label)
        number = f"class {self._classifier.labels.index(label) + 1}"
        if label not in self._told:
            self._told.add(label)
            note = (
                f'Note: The font cannot draw "{readable(label)}". Its line in labels.txt is drawn instead: "{number}".'
            )
            print(note, file=sys.stderr, flush=True)
        return number


def draw(pixels: NDArray[np.uint8], lines: list[str]) -> NDArray[np.uint8]:
    """A copy of an image with lines of text at its top, uint8 RGB. A small image is enlarged."""
    shorter, longer = sorted(pixels.shape[:2])
    scale = max(min(-(-_SHORTER_PX // shorter), _LONGER_PX // longer), 1)
    picture = np.repeat(np.repeat(pixels, scale, axis=0), scale, axis=1)
    height, width = picture.shape[:2]
    margin = max(min(height, width) // 64, 4)
    size = _fitting_size(lines, max(min(height, width) // _LETTER_PART, _SMALLEST_LETTER_PX), width - 2 * margin)
    step = round(1.4 * size)
    strip = picture[: step * len(lines) + margin]
    strip[:] = strip * _BRIGHTNESS
    for number, line in enumerate(lines, 1):
        _write(picture, _shortened(line, size, width - 2 * margin), (margin, step * number - margin // 2), size)
    return picture


@lru_cache(4096)
def can_draw(text: str) -> bool:
    """Whether OpenCV can draw all letters of a text, in the right order.

    OpenCV 5 has a font with Latin, Greek, Cyrillic, Chinese, Japanese and Korean letters, and draws a question mark for
    any other letter. It draws text from left to right only. Earlier versions support ASCII only.
    """
    text = unicodedata.normalize("NFC", text)
    if not text.isprintable():
        return False
    if text.isascii():
        return True
    if _face() is None or any(unicodedata.bidirectional(letter) in _RIGHT_TO_LEFT for letter in text):
        return False
    return not any(letter != "?" and np.array_equal(_glyph(letter), _glyph("?")) for letter in text)


def _glyph(letter: str) -> NDArray[np.uint8]:
    canvas = np.zeros((48, 64, 3), np.uint8)
    _write(canvas, letter, (8, 36), 24)
    return canvas


@lru_cache(1)
def _face() -> Any:
    """The font of OpenCV; ``None`` before OpenCV 5."""
    return cv2.FontFace("sans") if hasattr(cv2, "FontFace") else None


def _write(picture: NDArray[np.uint8], text: str, place: tuple[int, int], size: int) -> None:
    face = _face()
    if face is None:
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, size / 30, _WHITE, max(size // 15, 1), cv2.LINE_AA)
    else:
        cv2.putText(picture, text, place, _WHITE, face, size, _WEIGHT)


def _width(text: str, size: int) -> int:
    face = _face()
    if face is None:
        return int(cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, size / 30, max(size // 15, 1))[0][0])
    # The image is so wide that no text is wrapped.
    return int(cv2.getTextSize((10**6, 100), text, (0, 50), face, size, _WEIGHT)[2])


def _fitting_size(lines: list[str], size: int, width: int) -> int:
    """Height of the text at which all lines fit, but at least the smallest height."""
    widest = max(_width(line, size) for line in lines)
    return size if widest <= width else max(size * width // widest, _SMALLEST_LETTER_PX)


def _shortened(line: str, size: int, width: int) -> str:
    """The line if it fits, otherwise the beginning of the label and the probability."""
    if _width(line, size) <= width:
        return line
    name, _, rest = line.rpartition(" ")  # the unit in "name 98.7 %"
    name, _, number = name.rpartition(" ")
    end = f"... {number} {rest}"
    while name and _width(name + end, size) > width:
        name = name[:-1]
    return name + end


def _free_path(folder: Path, name: str) -> Path:
    """Path of a new file. The time in the name keeps the files in order."""
    stem, now, number = stem_of(name), datetime.now(), 1
    while True:
        more = "" if number == 1 else f"-{number}"
        path = folder / f"{stem}-{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03d}{more}.jpg"
        if not path.exists():
            return path
        number += 1


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    scale = _LONGEST_JPEG_PX / max(picture.shape[:2])
    if scale < 1:
        height, width = (max(round(side * scale), 1) for side in picture.shape[:2])
        picture = np.asarray(cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    _, encoded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return encoded.tobytes()


class _Window:
    """A window of Tk, because the OpenCV in requirements.txt has no windows."""

    def __init__(self) -> None:
        try:
            import tkinter
        except ImportError as error:
            raise UsageError(
                "--show needs Tk, which this Python does not have.",
                "On Debian and Raspberry Pi OS: sudo apt install python3-tk. Without a window: --save FOLDER.",
            ) from error
        try:
            self._root = tkinter.Tk(className="run.py")
        except tkinter.TclError as error:
            raise UsageError(
                f"--show finds no display: {error}.", "Start it in a desktop session, or use --save FOLDER."
            ) from error
        self._tkinter, self._closed = tkinter, False
        self._root.protocol("WM_DELETE_WINDOW", self._close)
        for key in ("<Escape>", "q"):
            self._root.bind(key, lambda event: self._close())
        self._label = tkinter.Label(self._root, borderwidth=0)
        self._label.pack()

    def show(self, picture: NDArray[np.uint8]) -> None:
        height, width = picture.shape[:2]
        most = (0.9 * self._root.winfo_screenwidth(), 0.8 * self._root.winfo_screenheight())
        scale = min(most[0] / width, most[1] / height, 1.0)
        if scale < 1:
            size = (max(round(width * scale), 1), max(round(height * scale), 1))
            picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
            height, width = picture.shape[:2]
        data = b"P6 %d %d 255\n" % (width, height) + picture.tobytes()
        self._image = self._tkinter.PhotoImage(master=self._root, data=data, format="PPM")
        self._label.configure(image=self._image)
        self._update()

    def wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._update()
            time.sleep(0.02)

    def _update(self) -> None:
        if not self._closed:
            self._root.update()
        if self._closed:
            self._root.destroy()
            raise WindowClosedError

    def _close(self) -> None:
        self._closed = True
