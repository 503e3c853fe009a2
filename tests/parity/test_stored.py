"""A file is accepted as int8 or float16 only if it stores its weights in this precision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.parity.linear import LINEAR
from zoo.parity import stored_problem

#: 1000 x 500 and 300 x 100 and a bias: 530,100 numbers, 2,120,400 bytes in float32.
MODEL: Any = SimpleNamespace(weights=[np.zeros((1000, 500)), np.zeros((300, 100)), np.zeros(100)])
SMALL: Any = SimpleNamespace(weights=[np.zeros((100, 100)), np.zeros(100)])


@pytest.mark.parametrize(
    ("precision", "stored", "refused"),
    [
        ("int8", {"float32": 530_100}, True),
        ("int8", {"float32": 530_100, "int32": 400, "uint8": 10}, True),
        ("int8", {"int8": 530_000, "float32": 100}, False),
        ("int8", {"uint8": 200_000, "float32": 330_000}, False),  # some tensors stay in float
        ("float16", {"float32": 530_100}, True),
        ("float16", {"float16": 500_000, "float32": 30_100}, False),
        ("float32", {"float32": 530_100}, False),
    ],
)
def test_what_the_exporter_reads_decides(
    precision: str, stored: Mapping[str, int], refused: bool, tmp_path: Path
) -> None:
    exporter = replace(LINEAR, stored=lambda path: stored)
    problem = stored_problem(exporter, tmp_path / "model", precision, MODEL)
    assert (problem is not None) == refused
    if problem:
        assert problem.startswith(
            f"The exporter 'linear' should write {precision}, but its file stores 530,100 numbers"
        )


def test_small_tensors_may_stay_in_float32(tmp_path: Path) -> None:
    exporter = replace(LINEAR, stored=lambda path: {"float32": 10_100})
    assert stored_problem(exporter, tmp_path / "model", "float16", SMALL) is None


@pytest.mark.parametrize(("size", "refused"), [(2_130_000, True), (1_060_000, False), (560_000, False)])
@pytest.mark.parametrize("precision", ["int8", "float16"])
def test_the_size_decides_where_an_exporter_does_not_say(
    precision: str, size: int, refused: bool, tmp_path: Path
) -> None:
    (tmp_path / "model").write_bytes(bytes(size))
    problem = stored_problem(LINEAR, tmp_path / "model", precision, MODEL)
    assert (problem is not None) == refused
    assert stored_problem(LINEAR, tmp_path / "model", precision, SMALL) is None
    if problem:
        assert "its file of 2,130,000 bytes is as large as the weights in float32, 2,120,400 bytes." in problem
