import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of reference images and original weights: ``ZOO_TEST_DATA``, or ``shared/data`` beside the repository."""
    folder = Path(os.environ.get("ZOO_TEST_DATA") or Path(__file__).resolve().parents[3].parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"needs the reference data, but {folder} does not exist (set ZOO_TEST_DATA)")
    return folder
