"""Every check of exporters, datasets and callbacks fails for a single fault, and its message names the fault."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import onnx
import pytest
from zoo_onnx import EXPORTER as ONNX

from zoo import Dataset, Exporter, ExportError, Metadata
from zoo.testing import CheckResult, check_exporter, check_names, run_checks
from zoo.testing.callbacks import Callbacks
from zoo.testing.checking import run_check
from zoo.testing.checks import all_checks
from zoo.testing.exporter import ExporterSubject

#: Converted files by model and precision. They are reused, because most checks are about other properties.
_made: dict[tuple[int, str], bytes] = {}


def convert(model: Any, path: Path, precision: str) -> None:
    key = (id(model), precision)
    if key not in _made:
        ONNX.convert(model, path, precision)
        _made[key] = path.read_bytes()
    path.write_bytes(_made[key])


SOUND = replace(ONNX, convert=convert, precisions=("float32", "int8"))


@pytest.fixture(scope="module")
def sound() -> ExporterSubject:
    return ExporterSubject(SOUND)


def result_of(check: str, exporter: Exporter, sound: ExporterSubject) -> CheckResult:
    with ExporterSubject(exporter) as subject:
        # The models of the correct exporter are reused, because building them again takes seconds.
        for name in ("model", "folded", "quantized"):
            subject.__dict__[name] = getattr(sound, name)
        return run_check(all_checks("exporter")[check], subject)


@pytest.mark.parametrize("check", check_names("exporter"))
def test_a_sound_exporter_passes(check: str, sound: ExporterSubject) -> None:
    result = result_of(check, SOUND, sound)
    # The exporter has no float16, and a new process cannot call the hook of this module.
    skipped = "float16" in check or check == "runtime_isolation"
    assert result.status == ("skipped" if skipped else "passed"), result


def with_stray_file(model: Any, path: Path, precision: str) -> None:
    convert(model, path, precision)
    (path.parent / "conversion.log").write_text("done")


def with_a_stamp(model: Any, path: Path, precision: str) -> None:
    convert(model, path, precision)
    said = onnx.load(path)
    said.doc_string = str(random.random())
    onnx.save(said, path)


def in_float(model: Any, path: Path, precision: str) -> None:
    convert(model, path, precision)
    if precision == "int8":
        weights = onnx.load(path)
        for constant in weights.graph.initializer:
            if constant.data_type == onnx.TensorProto.INT8:
                constant.CopyFrom(
                    onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(constant).astype("float32"), constant.name)
                )
        path.write_bytes(weights.SerializeToString())


@dataclass
class Changed:
    """A runtime with changed predictions or names."""

    runtime: Any
    change: Callable[[Any, Any], Any]
    input_name: str = "image"

    @property
    def inputs(self) -> Any:
        return tuple(tensor._replace(name=self.input_name) for tensor in self.runtime.inputs)

    @property
    def outputs(self) -> Any:
        return self.runtime.outputs

    def predict(self, images: Any) -> Any:
        return self.change(self.runtime.predict, images)


def predicting(change: Callable[[Any, Any], Any], **names: Any) -> dict[str, Any]:
    return {"load": lambda path, threads: Changed(ONNX.load(path, threads), change, **names)}


def no_empty_batch(predict: Any, images: Any) -> Any:
    return predict(images) if len(images) else predict(np.zeros((1, *images.shape[1:]), np.uint8))


def stored_as_ascii(path: Path, metadata: Metadata) -> None:
    labels = tuple(label.encode("ascii", "replace").decode() for label in metadata.labels)
    ONNX.write_metadata(path, replace(metadata, labels=labels))


def counting(path: Path, metadata: Metadata) -> None:
    count = len(onnx.load(path).doc_string)
    ONNX.write_metadata(path, metadata)
    model = onnx.load(path)
    model.doc_string = "x" * (count + 1)
    onnx.save(model, path)


def any_number_of_labels(path: Path, metadata: Metadata) -> None:
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {"zoo": metadata.to_json().encode("ascii", "backslashreplace").decode()})
    onnx.save(model, path)


def bare_load(path: Path, threads: int) -> Any:
    import onnxruntime

    onnxruntime.InferenceSession(path.read_bytes(), providers=["CPUExecutionProvider"])
    return ONNX.load(path, threads)


def by_name(path: Path, metadata: Metadata) -> None:
    str(path).encode("utf-8")
    ONNX.write_metadata(path, metadata)


#: Check, fault, and the finding that it reports.
BROKEN: list[tuple[str, Mapping[str, Any], str]] = [
    ("record", {"summary": "one\ntwo"}, "'one\\ntwo'"),
    ("record", {"suffix": "onnx"}, "'onnx'"),
    ("record", {"load": lambda path: None}, "too many positional arguments"),
    ("record", {"requires": ("onnxruntime >== 1",)}, "onnxruntime >== 1"),
    ("record", {"runtime_module": "zoo_onnx.metadata"}, "which imports"),
    ("contract_kept", {"convert": with_stray_file}, "'conversion.log' beside small_net.onnx"),
    ("contract_kept", predicting(lambda predict, images: predict(images), input_name="x"), "input is 'x'"),
    ("same_bytes", {"convert": with_a_stamp}, "small_net.onnx differs"),
    ("predicts_float32", predicting(lambda predict, images: predict(images)[:, ::-1]), "by 0."),
    ("predicts_float32", predicting(lambda predict, images: predict(images).astype("float64")), "float64"),
    ("predicts_int8", predicting(lambda predict, images: predict(255 - images)), "by 0."),
    ("batches", predicting(no_empty_batch), "(1, 5)"),
    ("batches", predicting(lambda predict, images: predict(images) + len(images) * 1e-3), "differs by 0.00"),
    (
        "refuses_other_pixels",
        predicting(lambda predict, images: predict(images.astype("uint8"))),
        "float: it predicts",
    ),
    ("int8", {"convert": in_float}, "numbers as float32 and 5 as int8"),
    ("round_trip", {"write_metadata": stored_as_ascii}, "labels: ['F??e', "),
    ("round_trip", {"read_metadata": lambda path: None}, "None"),
    ("written_twice", {"write_metadata": counting}, "small_net.onnx differs"),
    ("label_count", {"write_metadata": any_number_of_labels}, "2 labels were written into a file with 5 outputs"),
    ("damaged", {"load": bare_load}, "load: "),
    ("any_name", {"write_metadata": by_name}, "surrogates not allowed"),
]


@pytest.mark.parametrize(("check", "changes", "seen"), BROKEN, ids=[f"{row[0]}-{row[2][:20]}" for row in BROKEN])
def test_what_is_broken_fails(check: str, changes: Mapping[str, Any], seen: str, sound: ExporterSubject) -> None:
    result = result_of(check, replace(SOUND, **changes), sound)
    assert result.status == "failed"
    assert seen in result.seen
    assert result.expected
    assert result.mend


def test_an_exporter_that_cannot_convert_is_told_with_its_reason(sound: ExporterSubject) -> None:
    def refuse(model: Any, path: Path, precision: str) -> None:
        raise ExportError("There is no operator for it.", "Use another layer.")

    result = result_of("contract_kept", replace(SOUND, convert=refuse), sound)
    assert (result.seen, result.mend) == ("There is no operator for it.", "Use another layer.")


RUNTIME = """
import {needs}
import zoo_onnx.runtime
from dataclasses import replace
from zoo import hookimpl
from zoo_onnx import EXPORTER


def convert(model, path, precision):
    EXPORTER.convert(model, path, precision)


def load(path, threads=1):
    import torch

    return EXPORTER.load(path, threads)


@hookimpl
def zoo_exporters():
    return [replace(EXPORTER, name="leaky", load=load, convert=convert)]
"""


def test_a_runtime_that_loads_a_framework_is_found(
    sound: ExporterSubject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch.py").write_text("")
    (tmp_path / "leaky_exporter.py").write_text(RUNTIME.format(needs="os"))
    monkeypatch.syspath_prepend(tmp_path)
    import leaky_exporter

    (exporter,) = leaky_exporter.zoo_exporters()
    exporter = replace(exporter, precisions=("float32",))
    result = result_of("runtime_isolation", exporter, sound)
    assert (result.status, result.seen) == ("failed", "torch")


def test_a_runtime_that_needs_a_framework_is_no_use_on_a_device(
    sound: ExporterSubject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hungry_runtime.py").write_text("import keras\n")
    monkeypatch.syspath_prepend(tmp_path)
    result = result_of("runtime_on_device", replace(SOUND, runtime_module="hungry_runtime"), sound)
    assert result.status == "failed"
    assert "No module named 'keras': it is hidden" in result.seen


def test_every_check_has_teeth() -> None:
    beside = {"import_purity", "runtime_isolation", "runtime_on_device", "predicts_float16", "float16"}
    assert {row[0] for row in BROKEN} | beside == set(check_names("exporter"))


def test_check_exporter_raises_what_a_plugins_own_test_needs() -> None:
    assert [result.status for result in check_exporter("onnx", checks=["record"])] == ["passed"]
    with pytest.raises(AssertionError, match=r"record: expected: a summary of one line"):
        check_exporter(replace(SOUND, summary=""), checks=["record"])
    excused = replace(SOUND, summary="", expected_failures={"record": "it has no words"})
    assert [result.status for result in check_exporter(excused, checks=["record"])] == ["expected_failure"]


# Datasets


def write(folder: Path, noise: int = 0, damage: bool = False) -> None:
    for label, level in (("dark", 40), ("light", 220)):
        (folder / label).mkdir()
        for number in range(12):
            picture = np.full((16, 16, 3), level + number, np.uint8)
            picture[0, 0] = np.random.default_rng().integers(0, 256, 3) if noise else 0
            (folder / label / f"{number}.png").write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    if damage:
        (folder / "dark" / "0.png").write_bytes(b"no picture")


DATASET = Dataset(name="shades", summary="Two shades", write=write)


def test_a_sound_data_set_passes() -> None:
    assert {result.status for result in run_checks(DATASET)} == {"passed"}


@pytest.mark.parametrize(
    ("check", "changes", "seen"),
    [
        ("record", {"summary": ""}, "''"),
        ("record", {"image": (16, 16)}, "(16, 16)"),
        ("usable", {"write": lambda folder: write(folder, damage=True)}, "1 cannot: "),
        ("usable", {"write": lambda folder: None}, ""),
        ("same_files", {"write": lambda folder: write(folder, noise=1)}, "24 of 24 differ, such as dark/0.png"),
    ],
)
def test_what_is_broken_in_a_data_set_fails(check: str, changes: Mapping[str, Any], seen: str) -> None:
    (result,) = run_checks(replace(DATASET, **changes), checks=[check])
    assert result.status == "failed"
    assert seen in result.seen
    assert result.mend


# Callbacks


class Counting(keras.callbacks.Callback):
    """Counts epochs."""

    count: Any = 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.count += 1

    def get_state(self) -> Any:
        return {"count": self.count}

    def set_state(self, state: Any) -> None:
        self.count = state["count"]


class Meddling(Counting):
    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        self.model.set_weights([weight * 0.9 for weight in self.model.get_weights()])


class Forgetful(Counting):
    count = frozenset({1, 2})


class Failing(Counting):
    def on_train_begin(self, logs: Any = None) -> None:
        raise LookupError("a bad day")


ONE = Counting()


def hook(make: Callable[[], Any]) -> Callbacks:
    def zoo_callbacks(run_dir: Path) -> Any:
        assert run_dir.is_dir()
        return make()

    return Callbacks(name="zoo-counting", make=zoo_callbacks)


def test_sound_callbacks_pass() -> None:
    names = ["makes_callbacks", "leaves_training_alone", "state"]
    results = run_checks(hook(lambda: [Counting()]), checks=names)
    assert [result.status for result in results] == ["passed"] * 3
    assert set(names) | {"import_purity"} == set(check_names("callbacks"))


@pytest.mark.parametrize(
    ("check", "make", "seen"),
    [
        ("makes_callbacks", lambda: ["none"], "'none'"),
        ("makes_callbacks", lambda: [ONE], "Counting is the same object for two runs"),
        ("makes_callbacks", lambda: 1 / 0, "ZeroDivisionError"),
        ("leaves_training_alone", lambda: [Meddling()], "other weights"),
        ("leaves_training_alone", lambda: [Failing()], "LookupError: a bad day"),
        ("state", lambda: [Forgetful()], "not JSON serializable"),
    ],
)
def test_what_is_broken_in_callbacks_fails(check: str, make: Callable[[], Any], seen: str) -> None:
    (result,) = run_checks(hook(make), checks=[check])
    assert result.status == "failed"
    assert seen in result.seen
