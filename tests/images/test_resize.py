"""Positions of landmarks after resizing by every rule, and that no detail is lost by sampling."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from tests.images.pictures import RGB
from zoo.image_spec import INTERPOLATIONS, RESIZE_RULES, ImageSpec
from zoo.images import resize

Picture = npt.NDArray[np.uint8]
RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def with_landmark(height: int, width: int, top: float, left: float) -> Picture:
    """A black image with a white disc; ``top`` and ``left`` of its centre are fractions of the image."""
    picture = np.zeros((height, width, 3), np.uint8)
    centre = (round(left * width - 0.5), round(top * height - 0.5))
    cv2.circle(picture, centre, max(min(height, width) // 20, 1), (255, 255, 255), -1)
    return picture


def landmark(picture: Picture) -> tuple[float, float]:
    """(y, x) of the centre of the white area, in pixels from the upper left corner."""
    y, x = np.nonzero(picture[..., 0] > 127)
    return y.mean() + 0.5, x.mean() + 0.5


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
@pytest.mark.parametrize(("height", "width"), [(600, 400), (300, 500), (100, 100)])
@pytest.mark.parametrize(("target_height", "target_width"), [(224, 224), (160, 240)])
def test_landmarks(height: int, width: int, target_height: int, target_width: int, interpolation: str) -> None:
    covering = max(target_height * 256 / 224 / height, target_width * 256 / 224 / width)
    fitting = min(target_height / height, target_width / width)
    scales = {
        "squash": (target_height / height, target_width / width),
        "crop": (covering, covering),
        "letterbox": (fitting, fitting),
    }
    for rule, (top, left) in itertools.product(RESIZE_RULES, [(0.5, 0.5), (0.4, 0.6)]):
        spec = ImageSpec(height_px=target_height, width_px=target_width, resize=rule, interpolation=interpolation)
        resized = resize(with_landmark(height, width, top, left), spec)
        assert resized.shape == spec.input_shape
        scale_y, scale_x = scales[rule]
        # Every rule keeps the centre at the centre.
        expected = (
            target_height / 2 + (top - 0.5) * height * scale_y,
            target_width / 2 + (left - 0.5) * width * scale_x,
        )
        # Tolerance: half a pixel each for the disc's centre, a rounded size and an odd margin, scaled to the result.
        tolerance = 1 + max(scale_y, scale_x)
        assert np.abs(np.subtract(landmark(resized), expected)).max() < tolerance, rule


def test_squash_and_letterbox_show_the_whole_picture_and_crop_its_middle() -> None:
    """The image is, from left to right, a tenth red, four fifths green and a tenth blue."""
    picture = np.zeros((100, 200, 3), np.uint8)
    picture[:, :20], picture[:, 20:180], picture[:, 180:] = RED, GREEN, BLUE

    squashed = resize(picture, ImageSpec(resize="squash"))
    assert [tuple(squashed[112, x].tolist()) for x in (5, 112, 218)] == [RED, GREEN, BLUE]

    boxed = resize(picture, ImageSpec(resize="letterbox"))
    assert [tuple(boxed[112, x].tolist()) for x in (5, 112, 218)] == [RED, GREEN, BLUE]
    assert (boxed[:56] == 114).all()
    assert (boxed[168:] == 114).all()
    assert not (boxed[56:168] == 114).any()

    assert (resize(picture, ImageSpec(resize="crop")) == GREEN).all()


def test_odd_padding_goes_to_the_end() -> None:
    boxed = resize(np.zeros((10, 7, 3), np.uint8), ImageSpec(height_px=10, width_px=10, resize="letterbox"))
    assert (boxed[0, :, 0] == 114).tolist() == [True] + [False] * 7 + [True] * 2


@pytest.mark.parametrize(("height", "width"), [(300, 500), (640, 480), (299, 299)])
def test_crop_agrees_with_the_recipe_of_the_published_weights(height: int, width: int) -> None:
    """Shorter side resized to 256 with averaging, then the centre 224. Pillow's box filter equals ``area``."""
    smooth = cv2.resize(RGB, (width, height), interpolation=cv2.INTER_CUBIC)
    scale = 256 / min(height, width)
    size = round(width * scale), round(height * scale)
    left, top = (size[0] - 224) // 2, (size[1] - 224) // 2
    expected = Image.fromarray(smooth).resize(size, Image.Resampling.BOX).crop((left, top, left + 224, top + 224))
    difference = np.abs(resize(smooth, ImageSpec(resize="crop")).astype(float) - np.asarray(expected))
    assert difference.mean() < 0.5


@pytest.mark.parametrize(("height", "width"), [(1, 5000), (5000, 1), (1, 1), (2, 100_000), (3, 700)])
@pytest.mark.parametrize("rule", RESIZE_RULES)
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_extreme_shapes(height: int, width: int, rule: str, interpolation: str) -> None:
    picture = np.full((height, width, 3), 200, np.uint8)
    resized = resize(picture, ImageSpec(resize=rule, interpolation=interpolation))
    assert resized.shape == (224, 224, 3)
    if rule == "letterbox":
        assert set(np.unique(resized)) <= {114, 200}
        assert (resized[111, 111] == 200).all()
    else:
        assert (resized == 200).all()


def test_crop_of_a_very_long_picture_takes_its_middle_and_enlarges_no_more() -> None:
    """If the whole image were scaled, it would have 256 x 1,280,000 pixels, 983 MB."""
    picture = np.zeros((1, 5000, 3), np.uint8)
    picture[0, 2500:] = 255
    resized = resize(picture, ImageSpec(resize="crop", interpolation="bilinear"))
    # The middle 7/8 of a ramp of 256 pixels between two source pixels, with the step in its middle.
    assert np.abs(resized[0, :, 0] - np.arange(16.5, 240)).max() <= 2


def test_trimming_a_long_picture_does_not_change_what_is_seen() -> None:
    picture = cv2.resize(RGB, (3000, 224), interpolation=cv2.INTER_CUBIC)
    whole = cv2.resize(picture, (round(3000 * 256 / 224), 256), interpolation=cv2.INTER_LINEAR)
    left = (whole.shape[1] - 224) // 2
    resized = resize(picture, ImageSpec(resize="crop"))
    assert np.abs(resized.astype(int) - whole[16:240, left : left + 224]).max() <= 2


def test_area_averages_along_the_axis_that_shrinks_even_if_the_other_grows() -> None:
    """Stripes of one pixel, 10 times too fine: averaging makes them gray, sampling would not."""
    stripes = np.zeros((50, 2240, 3), np.uint8)
    stripes[:, ::2] = 255
    assert set(np.unique(resize(stripes, ImageSpec()))) <= {127, 128}
    assert set(np.unique(resize(stripes.transpose(1, 0, 2), ImageSpec()))) <= {127, 128}


def test_area_is_the_mean_of_the_pixels_it_covers() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    expected = noise.reshape(2, 4, 3, 4, 3).mean(axis=(1, 3))
    assert (resize(noise, ImageSpec(height_px=2, width_px=3)) == np.floor(expected + 0.5)).all()


# The arithmetic


def shares(interpolation: str, length: int, size: int) -> npt.NDArray[np.int64]:
    """``(size, length)``: the integer weight of each pixel of an axis in each pixel of the result."""
    table = np.zeros((size, length), np.int64)
    for place in range(size):
        if interpolation == "area":
            ends = np.arange(length) * size, (np.arange(length) + 1) * size
            table[place] = np.maximum(
                np.minimum((place + 1) * length, ends[1]) - np.maximum(place * length, ends[0]), 0
            )
            continue
        first, rest = divmod((2 * place + 1) * length - size, 2 * size)
        x = rest / (2 * size)
        if interpolation == "bilinear":
            step = 1 / (size / length)  # as OpenCV computes it
            x = (place + 0.5) * step - 0.5
            first = int(np.floor(x))
            weights = {first: 256 - round((x - first) * 256), first + 1: round((x - first) * 256)}
        else:
            values = (-0.75 * x * (1 - x) * (1 - x), (1.25 * x - 2.25) * x * x + 1, -0.75 * x * x * (1 - x))
            before, nearest, last = (int(np.floor(2048 * value + 0.5)) for value in values)
            third = 2048 - before - nearest - last
            weights = {first - 1: before, first: nearest, first + 1: third, first + 2: last}
        for source, weight in weights.items():
            table[place, min(max(source, 0), length - 1)] += weight
    return table


def in_whole_numbers(image: Picture, height: int, width: int, interpolation: str) -> Picture:
    if interpolation == "area":
        image = _in_whole_numbers(image, min(height, image.shape[0]), min(width, image.shape[1]), "area")
        interpolation = "bilinear"
    return _in_whole_numbers(image, height, width, interpolation)


def _in_whole_numbers(image: Picture, height: int, width: int, interpolation: str) -> Picture:
    rows, columns = (shares(interpolation, *each) for each in ((image.shape[0], height), (image.shape[1], width)))
    sums = np.einsum("iy,yxc,jx->ijc", rows, image.astype(np.int64), columns, optimize=True)
    whole = int(rows[0].sum() * columns[0].sum())
    return np.clip((sums + whole // 2) // whole, 0, 255).astype(np.uint8)


SIZES = [(1, 1), (1, 90), (90, 1), (2, 3), (8, 8), (31, 33), (40, 40), (64, 64), (71, 50), (90, 67)]


@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_every_pixel_is_an_exact_sum_rounded_once(interpolation: str) -> None:
    """Therefore the result depends neither on the processor nor on the implementation of OpenCV."""
    random = np.random.default_rng(0)
    for height, width in SIZES:
        noise = random.integers(0, 256, (height, width, 3), np.uint8)
        extreme = random.choice(np.array([0, 255], np.uint8), (height, width, 3))
        for target, picture in itertools.product([(32, 32), (17, 31), (1, 1), (45, 90)], [noise, extreme]):
            spec = ImageSpec(height_px=target[0], width_px=target[1], interpolation=interpolation)  # type: ignore[arg-type]
            assert np.array_equal(resize(picture, spec), in_whole_numbers(picture, *target, interpolation)), target


def test_the_mean_of_a_picture_that_needs_more_than_32_bits() -> None:
    picture = np.full((2048, 4097, 3), 255, np.uint8)
    picture[:1024] = 254
    assert resize(picture, ImageSpec(height_px=2, width_px=1)).ravel().tolist() == [254] * 3 + [255] * 3
    assert resize(picture, ImageSpec(height_px=1, width_px=1)).ravel().tolist() == [255] * 3  # 254.5


@pytest.mark.parametrize(
    ("interpolation", "function"),
    [("area", cv2.INTER_AREA), ("bilinear", cv2.INTER_LINEAR), ("bicubic", cv2.INTER_CUBIC)],
)
def test_version_1_keeps_the_pixels_of_opencv(interpolation: str, function: int) -> None:
    spec = ImageSpec(height_px=33, width_px=47, interpolation=interpolation, version=1)  # type: ignore[arg-type]
    noise = np.random.default_rng(0).integers(0, 256, (71, 90, 3), np.uint8)
    assert np.array_equal(resize(noise, spec), cv2.resize(noise, (47, 33), interpolation=function))
    latest = resize(noise, ImageSpec(height_px=33, width_px=47, interpolation=interpolation))  # type: ignore[arg-type]
    assert np.abs(latest.astype(int) - resize(noise, spec)).max() <= 1


def test_area_is_bilinear_where_both_axes_grow() -> None:
    assert np.array_equal(resize(RGB, ImageSpec()), resize(RGB, ImageSpec(interpolation="bilinear")))


@pytest.mark.parametrize("rule", RESIZE_RULES)
@pytest.mark.parametrize("shape", [(224, 224), (48, 64), (256, 256)])
def test_result_is_a_new_contiguous_array(rule: str, shape: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), 9, np.uint8)[:, ::-1]
    resized = resize(picture, ImageSpec(resize=rule))
    assert resized.flags.c_contiguous
    assert resized.flags.writeable
    assert not np.shares_memory(picture, resized)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
)
def test_other_arrays_are_refused(wrong: Picture) -> None:
    with pytest.raises(ValueError, match="Expected"):
        resize(wrong, ImageSpec())
