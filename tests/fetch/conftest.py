"""A server, images that it serves, and lists of these images."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.fetch.server import LoopbackServer, Served, serving


def picture(seed: int, suffix: str = ".jpg", size: tuple[int, int] = (60, 80)) -> bytes:
    """An image of coarse noise, different for every seed."""
    small = np.random.default_rng(seed).integers(0, 255, (size[0] // 10, size[1] // 10, 3), np.uint8)
    image = cv2.resize(small, size[::-1], interpolation=cv2.INTER_NEAREST)
    return cv2.imencode(suffix, image)[1].tobytes()


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with serving() as running:
        yield running


UrlList = Callable[[Sequence[tuple[str, ...]]], Path]


@pytest.fixture
def url_list(tmp_path: Path) -> UrlList:
    """``url_list([(url, label), ...])`` writes a CSV file. A third argument names further columns."""

    def write(rows: Sequence[tuple[str, ...]], columns: Sequence[str] = ("url", "label")) -> Path:
        path = tmp_path / "list.csv"
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([columns, *rows])
        return path

    return write


def serve_pictures(server: LoopbackServer, count: int, label: str = "ball") -> list[tuple[str, str]]:
    """Adds a number of images to the server, and returns their rows for a list."""
    for number in range(count):
        server.files[f"/{label}/{number}.jpg"] = Served(picture(number))
    return [(f"{server.url}/{label}/{number}.jpg", label) for number in range(count)]


def images_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*/*") if path.parent.name != ".zoo-fetch")
