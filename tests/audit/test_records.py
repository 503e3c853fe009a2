"""Results of the check are stored, and if a stored file is damaged, they are computed again."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from zoo.audit.records import Records

KEYS = {f"{number:050d}": "value" * 40 for number in range(2000)}


@pytest.mark.parametrize("start", [0.0, 0.5], ids=["no-database", "damaged-pages"])
def test_a_damaged_file_is_begun_anew(start: float, tmp_path: Path) -> None:
    with Records(tmp_path) as records:
        records.write("kind", KEYS)
        assert records.read("kind", KEYS) == KEYS
    path = tmp_path / "audit.sqlite"
    content = bytearray(path.read_bytes())
    first = int(len(content) * start)
    content[first : first + 2**16] = random.Random(0).randbytes(2**16)
    path.write_bytes(content)
    with Records(tmp_path) as records:
        assert records.read("kind", KEYS) == {}
        records.write("kind", KEYS)
        assert records.read("kind", KEYS) == KEYS
