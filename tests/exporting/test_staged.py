"""A bundle that is timed may come from an untrusted source."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zoo.edge.bundle import fingerprint, seal
from zoo.errors import VerificationError
from zoo.exporting.staged import staged
from zoo.image_spec import ImageSpec


@pytest.mark.parametrize("name", ["numpy.py", "cv2/__init__.py"])
def test_a_model_that_python_would_import_is_refused(tmp_path: Path, name: str) -> None:
    model = tmp_path / name
    model.parent.mkdir(exist_ok=True)
    model.write_text("raise SystemExit('this code came along')")
    spec = {
        "version": 1,
        "model": name,
        "format": "onnx",
        "image": ImageSpec().as_dict(),
        "labels": ["a", "b"],
        "precision": "float32",
        "architecture": "net",
        "source": "net",
        "runtime": {"requires": []},
        "files": {name: fingerprint(model)},
    }
    (tmp_path / "spec.json").write_text(json.dumps(seal(spec)))
    with pytest.raises(VerificationError, match=r"is not a \.onnx file"), staged(tmp_path):
        pass
