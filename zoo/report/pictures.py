"""The photographs a run was made from, as far as they are still there."""

from __future__ import annotations

import hashlib
from pathlib import Path

from zoo.images import ImageError, load_image
from zoo.report.grids import Picture
from zoo.run_folder import Run


class Pictures:
    """Loads images of a run by the name ``split.csv`` gives them, as the model saw them."""

    def __init__(self, run: Run, contents: dict[str, str]) -> None:
        """
        Args:
            run: The run.
            contents: SHA-256 by name; a file with another content is not the one that the model saw.
        """
        data = run.info.data
        source = Path(data.source or ".")
        self._roots = [Path(root) for root in (data.root, source, source.parent) if root]
        self._spec = run.image_spec
        self._contents = contents

    def load(self, name: str) -> Picture:
        """``(height, width, 3)`` uint8 RGB; ``None`` where the file is gone, has changed or cannot be read."""
        for root in self._roots:
            path = root / name
            try:
                if path.is_file() and self._unchanged(path, name):
                    return load_image(path, self._spec)
            except (OSError, ImageError):
                continue
        return None

    def _unchanged(self, path: Path, name: str) -> bool:
        expected = self._contents.get(name)
        if not expected:
            return True
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == expected
