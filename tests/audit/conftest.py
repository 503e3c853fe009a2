"""Photos and their copies."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import REPOSITORY

Image = NDArray[np.uint8]


@pytest.fixture(scope="session")
def changes() -> ModuleType:
    """The changes with which benchmarks/near_duplicates.py creates copies."""
    path = REPOSITORY / "benchmarks" / "near_duplicates.py"
    spec = importlib.util.spec_from_file_location("near_duplicates", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read_image(path: Path) -> Image:
    return cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)


def write_image(path: Path, image: NDArray[np.generic], *options: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(path.suffix, image, list(options))[1].tobytes())
    return path
