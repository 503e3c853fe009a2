"""Decoding and resizing in JavaScript compared with ``zoo.images``: the same bytes give the same pixels."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest
import zoo_web
from numpy.typing import NDArray
from PIL import Image, ImageCms

from tests.browser.conftest import OpenPage, Served
from tests.images import pictures
from tests.images.valid import bmp, gif
from zoo.image_spec import INTERPOLATIONS, RESIZE_RULES, SPEC_VERSIONS, ImageSpec
from zoo.images import ImageError, decode, resize

MODULES = Path(zoo_web.__file__).parent / "site" / "page"

#: Decodes a file, given as base64, resizes it if a rule is given, and returns the pixels.
MAKE = """async ([content, rule]) => {
  const { decode } = await import("/page/picture.js");
  const { resize } = await import("/page/resize.js");
  const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
  try {
    const decoded = await decode(new Blob([bytes]));
    const { data, width, height } = rule ? resize(decoded, rule) : decoded;
    let text = "";
    for (let at = 0; at < data.length; at += 8192) text += String.fromCharCode(...data.subarray(at, at + 8192));
    return { width, height, data: btoa(text) };
  } catch (error) {
    return { problem: error.message };
  }
}"""

#: Resizes pixels without decoding, each by several rules.
RESIZE = """async ([content, width, height, rules]) => {
  const { resize } = await import("/page/resize.js");
  const data = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
  return rules.map((rule) => {
    const made = resize({ data, width, height }, rule).data;
    let text = "";
    for (let at = 0; at < made.length; at += 8192) text += String.fromCharCode(...made.subarray(at, at + 8192));
    return btoa(text);
  });
}"""

Pixels = NDArray[np.uint8]
Make = Callable[..., Pixels]


@pytest.fixture
def page(served: Served, open_page: OpenPage) -> Iterator[Any]:
    """A page that can import the modules."""
    (served.folder / "page").symlink_to(MODULES)
    (served.folder / "index.html").write_text("<!doctype html><link rel=icon href=data:,>")
    opened = open_page(served.address(served.folder)[:-1], wait="")
    yield opened.page
    assert opened.trouble == []


@pytest.fixture
def make(page: Any) -> Make:
    """``make(content, spec)`` returns the browser's pixels of a file, or raises ``ValueError`` with its message."""

    def ask(content: bytes, spec: ImageSpec | None = None) -> Pixels:
        found = page.evaluate(MAKE, [base64.b64encode(content).decode(), spec and spec.as_dict()])
        if "problem" in found:
            raise ValueError(found["problem"])
        data = np.frombuffer(base64.b64decode(found["data"]), np.uint8)
        return data.reshape(found["height"], found["width"], 3)

    return ask


def largest(made: Pixels, expected: Pixels) -> int:
    assert made.shape == expected.shape
    return int(np.abs(made.astype(int) - expected).max())


# Resizing alone


SIZES = [(480, 640), (224, 224), (337, 501), (448, 448), (672, 448), (96, 72), (8, 8), (1, 1), (1, 300), (700, 3)]
TARGETS = [(224, 224), (32, 32), (17, 31)]


@pytest.mark.parametrize("version", SPEC_VERSIONS)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_resizing_gives_the_same_pixels(page: Any, interpolation: Any, version: int) -> None:
    """The pixels are identical, except for bicubic of version 1, for which kernels of OpenCV differ by a level."""
    random = np.random.default_rng(0)
    allowed = 1 if (interpolation, version) == ("bicubic", 1) else 0
    specs = [
        ImageSpec(height_px=height, width_px=width, resize=rule, interpolation=interpolation, version=version)  # type: ignore[arg-type]
        for height, width in TARGETS
        for rule in RESIZE_RULES
    ]
    compared = 0
    for height, width in SIZES:
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        content = base64.b64encode(image.tobytes()).decode()
        made = page.evaluate(RESIZE, [content, width, height, [spec.as_dict() for spec in specs]])
        for spec, text in zip(specs, made, strict=True):
            values = np.frombuffer(base64.b64decode(text), np.uint8).reshape(spec.input_shape)
            assert largest(values, resize(image, spec)) <= allowed, (height, width, spec)
            compared += 1
    assert compared == len(SIZES) * len(TARGETS) * len(RESIZE_RULES)


# Decoding


def noise(channels: int = 3, dtype: type = np.uint8) -> NDArray[Any]:
    random = np.random.default_rng(1)
    return random.integers(0, np.iinfo(dtype).max + 1, (43, 61, channels), dtype)


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    return exif.tobytes()


COLOR, ALPHA = Image.fromarray(noise()), Image.fromarray(noise(4))
FILES = {
    "png": (pictures.encode(COLOR, "PNG"), 0),
    "png, alpha": (pictures.encode(ALPHA, "PNG"), 0),
    "png, gray and alpha": (pictures.encode(pictures.GRAY_ALPHA, "PNG"), 0),
    "png, palette": (pictures.encode(pictures.PALETTE, "PNG"), 0),
    "png, gray": (pictures.encode(pictures.GRAY, "PNG"), 0),
    "png, 16 bits": (cv2.imencode(".png", noise(3, np.uint16))[1].tobytes(), 1),
    "png, 16 bits and alpha": (cv2.imencode(".png", noise(4, np.uint16))[1].tobytes(), 2),
    "jpeg, 4:4:4": (pictures.encode(COLOR, "JPEG", subsampling=0), 0),
    "jpeg, 4:2:2": (pictures.encode(COLOR, "JPEG", subsampling=1), 0),
    "jpeg, 4:2:0": (pictures.encode(COLOR, "JPEG", subsampling=2), 0),
    "jpeg, progressive": (pictures.encode(COLOR, "JPEG", progressive=True), 0),
    "jpeg, gray": (pictures.encode(pictures.GRAY, "JPEG"), 0),
    "jpeg, cmyk": (pictures.encode(COLOR.convert("CMYK"), "JPEG"), 1),
    "webp": (pictures.encode(COLOR, "WEBP"), 0),
    "webp, alpha": (pictures.encode(ALPHA, "WEBP", lossless=True, exact=True), 0),
    "gif": (pictures.encode(pictures.PALETTE, "GIF"), 0),
    "bmp": (pictures.encode(COLOR, "BMP"), 0),
    "avif": (pictures.encode(COLOR, "AVIF", quality=80), 0),
} | {
    f"{name}, orientation {place}": (pictures.encode(COLOR, name, exif=turned(place)), 0)
    for name in ("JPEG", "PNG", "WEBP")
    for place in range(10)
}


def test_files_of_every_kind_become_the_same_pixels(make: Make) -> None:
    """Browsers have other decoders, which round 16-bit gray and CMYK differently."""
    off = {name: largest(make(content), decode(content)) for name, (content, _) in FILES.items()}
    assert {name: (off[name], allowed) for name, (_, allowed) in FILES.items() if off[name] > allowed} == {}


@pytest.mark.parametrize("kinds", [gif, bmp], ids=["gif", "bmp"])
def test_valid_files_of_every_kind_become_the_same_pixels(make: Make, kinds: ModuleType) -> None:
    files = kinds.files()
    # Chromium cannot read BMP of 2 bits. Pixels that run lengths skip are black there; the format does not define them.
    shared = {name: data for name, (data, _) in files.items() if " 2 palette" not in name and "jumps" not in name}
    assert len(shared) > 70
    off = {name: largest(make(data), decode(data)) for name, data in shared.items()}
    assert {name: levels for name, levels in off.items() if levels > 1} == {}


def test_colour_profiles_are_not_applied(make: Make) -> None:
    """The profile exchanges red and blue, so the test would detect it."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")
    assert swapped != profile
    for name in ("JPEG", "PNG", "WEBP"):
        content = pictures.encode(COLOR, name, icc_profile=swapped)
        assert len(content) > len(pictures.encode(COLOR, name))
        assert largest(make(content), decode(content)) == 0


def test_a_picture_larger_than_a_canvas_takes_at_once(make: Make) -> None:
    large = cv2.resize(noise(), (2600, 1700), interpolation=cv2.INTER_CUBIC)
    content = cv2.imencode(".jpg", large)[1].tobytes()
    assert large.shape[0] * large.shape[1] > 2**22
    spec = ImageSpec(height_px=64, width_px=64)
    assert largest(make(content, spec), resize(decode(content), spec)) == 0


def test_photos_become_the_same_input(make: Make, shared_data: Path) -> None:
    """Real photos of many cameras are identical, because Chromium and OpenCV both use libjpeg-turbo."""
    folders = ("rugby_soccer", "ccby_coarse", "hymenoptera_small", "nips17_sample", "exif_orientation")
    photos = [
        path
        for name in folders
        for path in sorted(entry for entry in (shared_data / name).rglob("*") if entry.suffix in (".jpg", ".png"))[::29]
    ]
    assert len(photos) > 40
    spec = ImageSpec()
    differences = {}
    for path in photos:
        content = path.read_bytes()
        differences[path.name] = largest(make(content, spec), resize(decode(content), spec))
    assert {name: value for name, value in differences.items() if value > 1} == {}
    print(f"{len(photos)} photos, {sum(map(bool, differences.values()))} of them not the same in every value")


def test_a_rule_of_a_newer_version_is_refused(make: Make) -> None:
    spec = ImageSpec()
    object.__setattr__(spec, "version", 3)
    with pytest.raises(ValueError, match="Version 3 of the image specification is not supported"):
        make(pictures.encode(COLOR, "PNG"), spec)


# What is refused


def refused(content: bytes) -> str:
    with pytest.raises(ImageError) as error:
        decode(content)
    return error.value.reason


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_half_a_file_is_refused(make: Make, name: str) -> None:
    content = pictures.encode(COLOR, name)
    half = content[: len(content) // 2]
    assert "truncated" in refused(half)
    with pytest.raises(ValueError, match="The file is a truncated"):
        make(half)


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_blocks": 3}])
def test_jpeg_that_lacks_its_end_mark_alone_is_used(make: Make, options: dict[str, object]) -> None:
    content = pictures.encode(pictures.COLOR, "JPEG", **options)
    for lost in (1, 2):
        assert largest(make(content[:-lost]), decode(content)) == 0
    for lost in (6, 40, 200):
        assert refused(content[:-lost]) == "truncated JPEG"
        with pytest.raises(ValueError, match="The file is a truncated JPEG"):
            make(content[:-lost])
    if "progressive" in options:
        with pytest.raises(ValueError, match="The file is a truncated JPEG"):
            make(content[: content.rindex(b"\xff\xda")])


OTHERS = {
    "The file is empty": b"",
    "This is not a picture": b"Dear diary",
    "This is a PDF file": b"%PDF-1.7 and more",
    "This is a HEIC photo": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(64),
    "This is a video": b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(64),
    "This browser cannot read TIFF": pictures.encode(COLOR, "TIFF"),
    "This browser cannot decode the file": b"\x89PNG\r\n\x1a\n" + pictures.png_chunk(b"IEND", b""),
}


def test_what_is_no_picture_is_told_by_name(make: Make) -> None:
    for said, content in OTHERS.items():
        with pytest.raises(ValueError, match=said):
            make(content)
