"""Bundles and exported files from untrusted sources."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from zoo_onnx.metadata import KEY, read_metadata

from tests.hostile import mutants
from zoo import ImageSpec, Metadata, UsageError, ZooError
from zoo.edge.bench import _model, _runtime
from zoo.edge.bundle import read_bundle, seal
from zoo.edge.confidence import min_confidence
from zoo.edge.selftest import read_golden
from zoo.workflows.foreign import complete

METADATA = Metadata(
    labels=("a", "b"),
    image=ImageSpec(),
    precision="int8",
    architecture="simple_cnn",
    source="runs/x",
    model_digest="ab",
)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    values = METADATA.as_dict() | {
        "version": 1,
        "model": "m.onnx",
        "format": "onnx",
        "runtime": {"requires": ["numpy>=2.1", "onnxruntime>=1.23"]},
        "verification": {"accuracy": 0.9, "n": 10, "data_digest": "cd"},
        "min_confidence": {"suggested": 0.8, "images": 10},
        "files": {"m.onnx": {"bytes": 3, "sha256": "ab"}, "golden/golden.json": {"bytes": 1, "sha256": "cd"}},
    }
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "spec.json").write_text(json.dumps(seal(values)))
    return folder


def test_every_value_of_a_bundle_is_checked(bundle: Path) -> None:
    path = bundle / "spec.json"
    for what, text in mutants(json.loads(path.read_text())):
        path.write_text(text)
        try:
            found = read_bundle(bundle)
            assert bundle in found.model_path.parents, what
            assert all(isinstance(label, str) for label in found.labels), what
            found.altered()
            _model(found)
            _runtime(found)
            min_confidence("auto", found.values, "it")
        except ZooError:
            continue
        except Exception as error:
            raise AssertionError(f"{what}: {error!r}") from error


def test_every_value_of_golden_json_is_checked(bundle: Path) -> None:
    found = read_bundle(bundle)
    (bundle / "golden").mkdir()
    golden = {
        "version": 1,
        "images": [{"file": "a.jpg", "origin": "photo"}],
        "arrays": dict.fromkeys(("pixels", "probabilities", "keras"), "a.npy"),
        "tolerance": {"pixels": 1, "probabilities": 0.01},
    }
    for what, text in mutants(golden):
        (bundle / "golden" / "golden.json").write_text(text)
        try:
            read_golden(found)
        except ZooError:
            continue
        except Exception as error:
            raise AssertionError(f"{what}: {error!r}") from error


def test_every_value_of_the_metadata_is_checked() -> None:
    accepted = 0
    for what, text in mutants(json.loads(METADATA.to_json())):
        try:
            found = Metadata.from_json(text)
            found.to_json()
            accepted += found.verified in (True, False)
        except ZooError:
            continue
        except Exception as error:
            raise AssertionError(f"{what}: {error!r}") from error
    assert accepted


@pytest.mark.parametrize("text", ["[" * 100_000, '{"version": 1, "labels": 3}', '{"version": 1', "\x1b[2J"])
def test_damaged_metadata_in_a_file_is_a_message(tmp_path: Path, text: str) -> None:
    tensor = onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node("Identity", ["image"], ["probabilities"])
    out = onnx.helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, [1])
    model = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [tensor], [out]))
    onnx.helper.set_model_props(model, {KEY: text})
    (tmp_path / "x.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ZooError, match="metadata"):
        read_metadata(tmp_path / "x.onnx")


@pytest.mark.parametrize("labels", ["3", "null", "[1]", '"ab"', "{}", "[" * 100_000 + "]" * 100_000])
def test_a_spec_with_odd_labels_is_a_message(tmp_path: Path, labels: str) -> None:
    spec = tmp_path / "spec.json"
    spec.write_text(f'{{"image": {{"height_px": 8, "width_px": 8}}, "labels": {labels}}}')
    with pytest.raises(UsageError, match=r"spec\.json"):
        complete(tmp_path / "x.onnx", None, spec, None)
