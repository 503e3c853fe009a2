"""What every exporter promises, of those that ship with zoo."""

from __future__ import annotations

from collections.abc import Callable

from zoo.testing import parametrize_with_checks


@parametrize_with_checks(["onnx", "tflite"])
def test_conformance(check: Callable[[], None]) -> None:
    check()
