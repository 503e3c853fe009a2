"""Every valid kind of file of the documented formats is decoded correctly: none is refused or misread."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from zoo.images import ImageError, decode

#: Maximum error of a value in levels of 255; lossy formats change values.
TOLERANCE = 8

FORMATS = {"jpeg": 60, "png": 60, "gif": 70, "bmp": 140, "tiff": 340, "webp": 30, "avif": 30, "heic": 40}


@pytest.mark.parametrize("name", FORMATS)
def test_every_kind_of_file_shows_what_is_in_it(name: str) -> None:
    if name == "heic":
        pytest.importorskip("pillow_heif", reason="pillow-heif, which writes HEIC, is not installed")
        pytest.importorskip("pi_heif", reason="pi-heif, which reads HEIC, is not installed")
    files = importlib.import_module(f"tests.images.valid.{name}").files()
    wrong: dict[str, str] = {}
    for kind, (data, expected) in files.items():
        try:
            pixels = decode(data)
        except ImageError as error:
            wrong[kind] = error.reason
            continue
        if pixels.shape != expected.shape:
            wrong[kind] = f"{pixels.shape} in place of {expected.shape}"
        elif (off := float(np.abs(pixels - np.asarray(expected, float)).max())) > TOLERANCE:
            wrong[kind] = f"off by {off:.0f}"
    assert wrong == {}
    assert len(files) >= FORMATS[name]
