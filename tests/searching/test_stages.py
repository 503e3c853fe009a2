"""The stages of a search propose the right candidates at the right time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from tests.images.pictures import COLOR, encode
from tests.images.test_orientation import exif
from tests.searching.test_costs import outcome
from zoo.image_spec import ImageSpec, ResizeRule
from zoo.images import decode
from zoo.registry import architectures
from zoo.searching.candidate import Cost, Limits
from zoo.searching.padding import Padding
from zoo.searching.stages import Known, image_rules


def known(*names: str) -> Known:
    """Architectures of which nothing is known yet."""
    record = architectures().get("mobilenetv2")
    cost = Cost(latency_ms=1.0, size_bytes=1)
    return Known({name: replace(record, name=name) for name in names}, Limits(), lambda candidate: cost, ())


def proposed(state: Known) -> list[str]:
    return list(dict.fromkeys(candidate.architecture for candidate in image_rules(state)))


def test_two_architectures_need_no_outcome_for_their_image_sizes() -> None:
    """Otherwise, a second process would wait while the first tries the only architecture."""
    two = known("one", "two")
    assert proposed(two) == ["one", "two"]
    failed = replace(outcome("one", 0.9, 1.0, 1.0, 0.1), judged=None, error="It failed.")
    assert proposed(replace(two, outcomes=(failed,))) == ["two"]
    good = outcome("two", 0.9, 1.0, 1.0, 0.1)
    assert proposed(replace(two, outcomes=(good,))) == ["two", "one"]
    assert proposed(replace(two, outcomes=(failed, good))) == ["two"]


def test_of_many_architectures_only_the_best_half_is_tried_in_other_sizes() -> None:
    many = known("a", "b", "c", "d", "e", "f")
    assert proposed(many) == []
    outcomes = tuple(outcome(name, 0.9, 1.0, 1.0, score / 10) for score, name in enumerate("fedcba", start=1))
    assert proposed(replace(many, outcomes=outcomes)) == ["f", "e", "d"]


@pytest.mark.parametrize(
    ("own", "sizes", "expected"),
    [
        ("squash", [(60, 60), (90, 90)], {"squash", "crop"}),
        ("letterbox", [(60, 60)], {"letterbox", "crop"}),
        ("crop", [(60, 60)], {"squash", "crop"}),
        ("squash", [(60, 60), (90, 60)], {"squash", "crop", "letterbox"}),
    ],
)
def test_rules_that_give_the_same_pixels_are_tried_once(
    own: ResizeRule, sizes: list[tuple[int, int]], expected: set[str], tmp_path: Path
) -> None:
    names = []
    for number, size in enumerate(sizes):
        names.append(f"{number}.png")
        cv2.imwrite(str(tmp_path / names[-1]), np.zeros((*size, 3), np.uint8))
    photos: Any = SimpleNamespace(paths=lambda: [str(tmp_path / name) for name in names])
    state = known("one")
    record = replace(state.architectures["one"], image=replace(state.architectures["one"].image, resize=own))
    state = replace(state, architectures={"one": record}, pads=Padding(photos))
    assert {candidate.image.resize for candidate in image_rules(state)} == expected


def test_an_upright_photo_may_be_stored_lying(tmp_path: Path) -> None:
    """Its EXIF orientation swaps its sides. Too many files, and one that is gone, count as padded."""
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(encode(COLOR, "JPEG", exif=exif(6)))
    height, width = decode(photo.read_bytes()).shape[:2]
    assert height > width
    upright, lying = ImageSpec(height_px=height, width_px=width), ImageSpec(height_px=width, width_px=height)
    photos: Any = SimpleNamespace(paths=lambda: [str(photo)])
    assert [Padding(photos)(spec) for spec in (upright, lying)] == [False, True]
    assert Padding(SimpleNamespace(paths=lambda: [str(photo)] * (Padding.MOST + 1)))(upright)  # type: ignore[arg-type]
    photo.unlink()
    assert Padding(photos)(upright)
