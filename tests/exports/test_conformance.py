"""The conformance checks of the exporters that are included in zoo."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from zoo.testing import parametrize_with_checks
from zoo.testing.checks import exporter_file


@pytest.fixture(autouse=True)
def _closer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checks the included runtimes with smaller tolerances than the conformance checks require."""
    for precision, difference in (("float32", 1e-5), ("float16", 1e-3), ("int8", 0.03)):
        monkeypatch.setitem(exporter_file.TOLERANCE, precision, difference)


@parametrize_with_checks(["onnx", "tflite"])
def test_conformance(check: Callable[[], None]) -> None:
    check()
