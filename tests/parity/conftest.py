from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import draw_photo
from tests.parity.linear import Subject, make_subject

LABELS = ("apple", "lime", "plum", "sky")


@pytest.fixture(scope="session")
def subject(tmp_path_factory: pytest.TempPathFactory, cache_folder: Path) -> Subject:
    """Sixty drawn photos of four classes that are hard to distinguish, and a model. Tests must not change them."""
    root = tmp_path_factory.mktemp("photos")
    for index, label in enumerate(LABELS):
        for number in range(15):
            draw_photo(root / label / f"photo_{number:02d}.jpg", 60 + 6 * index, 100 * index + number)
    return make_subject(root, LABELS)
