"""Arrays and Pillow images get the same prediction as their file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.images import pictures
from tests.images.pictures import encode
from zoo.edge.classify import Classifier
from zoo.edge.pictures import as_pictures
from zoo.errors import DataError, UsageError
from zoo.exported import TensorInfo
from zoo.image_spec import ImageSpec
from zoo.images import ImageError, decode

SPEC = ImageSpec(height_px=pictures.HEIGHT, width_px=pictures.WIDTH, resize="squash")


class Seen:
    """A model whose predictions contain its input: each probability is one value of the image."""

    inputs = (TensorInfo(name="image", shape=(None, *SPEC.input_shape), dtype="float32"),)
    outputs = (TensorInfo(name="probabilities", shape=(None, int(np.prod(SPEC.input_shape))), dtype="float32"),)

    def predict(self, images: np.ndarray[Any, np.dtype[np.uint8]]) -> np.ndarray[Any, np.dtype[np.float32]]:
        return images.reshape(len(images), -1).astype(np.float32)


CLASSIFIER = Classifier(Seen(), SPEC, tuple(map(str, range(int(np.prod(SPEC.input_shape))))))


def answers(items: object) -> list[tuple[str, Any]]:
    return [(name, answer_about(picture)) for name, picture in as_pictures(items)]


def answer_about(picture: Any) -> Any:
    try:
        return picture if isinstance(picture, ImageError) else CLASSIFIER.classify(picture, 10**6)
    except ImageError as error:
        return error


def answer_of_file(data: bytes, tmp_path: Path) -> Any:
    path = tmp_path / "picture"
    path.write_bytes(data)
    ((name, answer),) = answers(path)
    assert name == str(path)
    return answer


@pytest.mark.parametrize("array", [pictures.RGB, pictures.RGB.astype(np.float32), pictures.RGB.astype(np.int64)])
def test_an_array_is_predicted_as_its_file(array: Any, tmp_path: Path) -> None:
    expected = answer_of_file(encode(pictures.COLOR, "PNG"), tmp_path)
    assert answers(array) == [("[0]", expected)]
    assert answers([array, array]) == [("[0]", expected), ("[1]", expected)]
    assert answers(np.stack([array, array])) == [("[0]", expected), ("[1]", expected)]
    assert answers([np.stack([array, array]), array]) == [
        ("[0][0]", expected),
        ("[0][1]", expected),
        ("[1]", expected),
    ]
    turned = encode(pictures.MIRRORED, "PNG")
    assert answers(array[:, ::-1]) == [("[0]", answer_of_file(turned, tmp_path))]


def test_a_gray_array_is_predicted_as_its_file(tmp_path: Path) -> None:
    gray = np.asarray(pictures.GRAY)
    expected = answer_of_file(encode(pictures.GRAY, "PNG"), tmp_path)
    for array in (gray, gray[..., None], gray[None, ..., None]):
        assert answers(array) == [("[0]", expected)]
    assert answers(np.stack([gray] * 5)) == [(f"[{place}]", expected) for place in range(5)]


SIXTEEN_BITS = Image.fromarray(pictures.RGB16[..., 0])
TRANSPARENT_PALETTE = pictures.COLOR_ALPHA.quantize(16)


@pytest.mark.parametrize(
    ("picture", "file_format", "exact"),
    [
        (pictures.COLOR, "PNG", True),
        (pictures.COLOR, "JPEG", True),
        (pictures.COLOR, "WEBP", True),
        (pictures.COLOR, "TIFF", True),
        (pictures.GRAY, "JPEG", True),
        (pictures.GRAY_ALPHA, "PNG", True),
        (pictures.COLOR_ALPHA, "PNG", True),
        (pictures.COLOR_ALPHA, "WEBP", True),
        (pictures.PALETTE, "PNG", True),
        (pictures.PALETTE, "GIF", True),
        (TRANSPARENT_PALETTE, "PNG", True),
        (pictures.COLOR.convert("1"), "PNG", True),
        (SIXTEEN_BITS, "PNG", True),
        (pictures.GRAY.convert("I"), "TIFF", True),
        (pictures.GRAY.convert("F"), "TIFF", True),
        (pictures.COLOR.convert("CMYK"), "TIFF", True),
        (pictures.COLOR.convert("CMYK"), "JPEG", False),
    ],
    ids=lambda value: getattr(value, "mode", str(value)),
)
@pytest.mark.parametrize("orientation", [1, 6])
def test_an_image_of_pillow_is_predicted_as_its_file(
    picture: Image.Image, file_format: str, exact: bool, orientation: int, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    options: dict[str, Any] = {"lossless": True} if file_format == "WEBP" else {}
    data = encode(picture, file_format, **(options | ({"exif": exif} if file_format != "GIF" else {})))
    expected = answer_of_file(data, tmp_path)
    # Not opened from a path, because Pillow 13 maps some TIFF files into memory and loses their orientation.
    ((name, encoded),) = as_pictures(Image.open(io.BytesIO(data)))
    assert name == "[0]"
    if exact:
        assert answer_about(encoded) == expected
    else:  # Pillow and OpenCV round the inks differently
        assert np.abs(decode(encoded).astype(int) - decode(data)).max() <= 1  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["YCbCr", "HSV", "LAB", "RGBa", "La", "PA", "RGBX", "I;16B"])
def test_images_of_pillow_in_rarer_modes(mode: str) -> None:
    if mode == "I;16B":
        picture = Image.frombytes(mode, SIXTEEN_BITS.size, pictures.RGB16[..., 0].astype(">u2").tobytes())
        expected = SIXTEEN_BITS
    elif mode == "PA":
        picture = expected = pictures.PALETTE.convert("PA")
        expected = expected.convert("RGBA")
    else:
        start = {"La": pictures.GRAY_ALPHA, "RGBa": pictures.COLOR_ALPHA, "LAB": None}.get(mode, pictures.COLOR)
        picture = start.convert(mode) if start else Image.new("LAB", pictures.COLOR.size, (120, 10, 20))
        expected = picture.convert({"La": "LA", "RGBa": "RGBA"}.get(mode, "RGB")) if start else None
    ((_, encoded),) = as_pictures(picture)
    assert isinstance(encoded, bytes)
    if expected is not None:
        assert np.array_equal(decode(encoded), decode(encode(expected, "PNG")))


def test_what_was_done_to_an_image_of_pillow_counts(tmp_path: Path) -> None:
    pictures.COLOR.save(tmp_path / "a.png")
    opened = Image.open(tmp_path / "a.png")
    opened.paste(0, (0, 0, 9, 9))
    ((name, answer),) = answers(opened)
    assert name == str(tmp_path / "a.png")
    assert answer == answer_of_file(encode(opened, "PNG"), tmp_path)


def test_orientation_is_that_of_the_file(shared_data: Path) -> None:
    for path in sorted((shared_data / "exif_orientation").glob("*.jpg")):
        with Image.open(path) as picture:
            ((_, encoded),) = as_pictures(picture)
        assert np.array_equal(decode(encoded), decode(path.read_bytes())), path  # type: ignore[arg-type]


def test_paths_bytes_and_folders(tmp_path: Path) -> None:
    data = encode(pictures.COLOR, "PNG")
    expected = answer_of_file(data, tmp_path)
    path = tmp_path / "folder" / "a.png"
    path.parent.mkdir()
    path.write_bytes(data)
    for items in (str(path), path, path.parent, [path.parent], np.array([str(path)]), iter([str(path)])):
        assert answers(items) == [(str(path), expected)]
    assert answers(data) == answers(bytearray(data)) == [("[0]", expected)]
    assert answers([]) == []


def test_pictures_that_cannot_be_read_cost_nothing_else(tmp_path: Path) -> None:
    cut = tmp_path / "cut.png"
    data = encode(pictures.COLOR, "PNG")
    cut.write_bytes(data[: len(data) // 2])
    with Image.open(cut) as opened:
        found = answers([cut, "nowhere.jpg", opened, pictures.RGB, b"no picture"])
    assert [isinstance(answer, ImageError) for _, answer in found] == [True, True, True, False, True]
    assert [name for name, _ in found] == [str(cut), "nowhere.jpg", str(cut), "[3]", "[4]"]
    assert "Pillow could not read it" in found[2][1].reason


@pytest.mark.parametrize(
    ("items", "error", "said"),
    [
        (None, UsageError, "Expected pictures. Received: NoneType"),
        (7, UsageError, "Expected pictures. Received: int 7"),
        ({"a.jpg": 1}, UsageError, "Expected pictures. Received: dict"),
        ([None], UsageError, "Received: [0], NoneType"),
        ([(pictures.RGB, 1)], UsageError, "Remove the labels"),
        ([[1, 2]], UsageError, "Received: [0], list"),
        ("", UsageError, "an empty string"),
        (pictures.RGB / 255, DataError, "Multiply by 255"),
        ((pictures.RGB > 127).astype(float), DataError, "Multiply by 255"),
        ([pictures.RGB, pictures.RGB / 255], DataError, "Received: pictures[1], float64 from 0 to 0.98"),
        (np.moveaxis(pictures.RGB, -1, 0), DataError, "channels first"),
        (np.moveaxis(pictures.RGB, -1, 0)[None], DataError, "channels-first"),
        (np.dstack([pictures.RGB, pictures.ALPHA]), DataError, "RGBA?"),
        (pictures.RGB[None, None], DataError, "shape (1, 1, 48, 64, 3)"),
        (np.array(7), DataError, "shape ()"),
        ([np.arange(3)], DataError, "shape (3,)"),
    ],
)
def test_what_is_no_picture(items: object, error: type[Exception], said: str) -> None:
    with pytest.raises(error) as raised:
        list(as_pictures(items))
    assert said in str(raised.value)


def test_an_iterable_that_raises() -> None:
    def broken() -> Iterator[Any]:
        yield pictures.RGB
        raise RuntimeError("the camera is gone")

    with pytest.raises(DataError, match="the camera is gone"):
        list(as_pictures(broken()))
